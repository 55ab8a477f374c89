"""Tokenizers: text to ids, ids to exact bytes."""
