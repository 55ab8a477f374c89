"""The inference server: owns the models and serves the gRPC API in proto/nexttoken/v1."""

import os

# Transparent huge pages: torch reads this at its first allocation. Each step reads all the weights.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
