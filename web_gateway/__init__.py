"""The web gateway: turns the browser's JSON into gRPC and serves the page."""
