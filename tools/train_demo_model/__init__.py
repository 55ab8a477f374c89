"""Trains and evaluates the demo model in inference_server/bundled."""
