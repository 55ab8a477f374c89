"""Compiled arithmetic for CPUs: weights as the checkpoint holds them, sums in float32."""
