"""The HTTP server: its protocol, limits and static files."""
