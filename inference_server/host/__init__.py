"""The machine: memory, CPU quota, OpenMP threads."""
