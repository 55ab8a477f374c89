"""Computing sequences: cache look-ups, forward passes, prefetch; and loading models."""
