"""CPU execution: 16-bit weights, numba kernels."""
