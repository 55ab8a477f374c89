"""The host: memory, CPU quota, OpenMP threads."""
