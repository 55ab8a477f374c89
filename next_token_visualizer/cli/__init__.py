"""The command next-token-visualizer."""
