"""The gRPC contract: calls, wire messages, who may call, health, connections."""
