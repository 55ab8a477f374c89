"""The inference server as plain calls."""
