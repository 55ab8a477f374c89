"""How a CPU computes a pass: 16-bit weights, compiled kernels."""
