"""The web gateway: serves the page and translates its JSON requests to gRPC."""

import os

# Lets gRPC's ring hash pick a replica by a request header. gRPC reads it when the first channel is created; without it,
# every call on such a channel fails.
os.environ.setdefault("GRPC_EXPERIMENTAL_RING_HASH_SET_REQUEST_HASH_KEY", "true")
