"""Cached keys, values and logits: blocks, sharing by prefix, eviction."""
