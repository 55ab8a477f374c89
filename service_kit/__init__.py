"""Shared by both services: settings, logging, tracing, TLS, tokens."""
