"""Executing a batch: cache look-ups, forward passes, prefetch."""
