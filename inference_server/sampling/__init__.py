"""Logits to probabilities."""
