"""The web gateway: turns the browser's JSON into gRPC and serves the page."""

import os

# Sessions stick to a replica by a request header; gRPC reads this when it first makes a channel, and would fail every
# call of such a channel without it.
os.environ.setdefault("GRPC_EXPERIMENTAL_RING_HASH_SET_REQUEST_HASH_KEY", "true")
