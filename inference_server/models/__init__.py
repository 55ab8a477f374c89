"""The models: registry, Hub downloads, checkpoint files."""
