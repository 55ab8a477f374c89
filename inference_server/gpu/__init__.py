"""Decode steps on a GPU: fixed shapes, CUDA graphs."""
