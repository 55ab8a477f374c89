"""Fuzzes GGUF files: any bytes are unpacked into a model's files that are read, or refused in words."""

import tempfile
from functools import cache
from pathlib import Path

from inference_server.errors import LoadFailed
from inference_server.tokenizer.tokenizer import ModelTokenizer

MOST_WORDS = 700  # of a refusal, in characters


@cache
def place() -> Path:
    """A file that is written anew for each input."""
    return Path(tempfile.mkdtemp(prefix="fuzz-")) / "input.gguf"


def gguf(data: bytes) -> None:
    """What is unpacked is a configuration and a tokenizer, or both are refused."""
    from inference_server.engine import gguf_folder  # here: they import torch
    from inference_server.runtime import architecture

    place().write_bytes(data)
    words = "it is as it should be"
    try:
        with gguf_folder.unpacked(place()) as folder:
            architecture.configuration(folder)
            ModelTokenizer.load(folder).encode("Once upon a time")
    except LoadFailed as refused:
        words = str(refused)
    assert 10 < len(words) < MOST_WORDS, words
