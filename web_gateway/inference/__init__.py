"""Client of the inference server."""
