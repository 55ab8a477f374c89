"""The gRPC API: service, message conversion, authentication, health, channel options."""
