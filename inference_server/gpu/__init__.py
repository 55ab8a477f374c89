"""How a GPU computes a step: fixed shapes, CUDA graphs."""
