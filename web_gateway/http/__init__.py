"""HTTP server: protocol, limits, middleware and static files."""
