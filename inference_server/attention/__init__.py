"""Attention over batches of prompts of different lengths."""
