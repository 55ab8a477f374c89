"""Numba kernels for CPUs: 16-bit weights, float32 arithmetic."""
