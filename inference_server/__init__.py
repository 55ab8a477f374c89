"""The inference server: owns the models and answers the gRPC contract in proto/nexttoken/v1."""

import os

# Read by torch when it first allocates: weights are read from end to end at every step, so the fewer pages the better.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
