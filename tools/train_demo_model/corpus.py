"""Reads the training corpus: stories separated by `<|endoftext|>` lines. The last ones are held out for evaluation."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

SEPARATOR = "<|endoftext|>"
HELD_OUT = 500

Tokens = NDArray[np.uint16]


def read_stories(path: Path) -> list[str]:
    """The stories of a corpus file, in file order, stripped."""
    stories = [story.strip() for story in path.read_text(encoding="utf-8").split(SEPARATOR)]
    return [story for story in stories if story]


def split(stories: list[str], held_out: int = HELD_OUT) -> tuple[list[str], list[str]]:
    """(training, validation): the last `held_out` stories are never trained on."""
    if len(stories) <= held_out:
        raise ValueError(
            f"the corpus has {len(stories)} stories; more than {held_out} are needed, since {held_out} are held out"
        )
    return stories[:-held_out], stories[-held_out:]


def encode(tokenizer: Tokenizer, stories: list[str]) -> list[Tokens]:
    """Each story as token ids, including its leading separator."""
    encoded = tokenizer.encode_batch(stories)
    return [np.array(one.ids, dtype=np.uint16) for one in encoded]


def windows(stories: list[Tokens], length: int, order: NDArray[np.intp] | None = None) -> NDArray[np.int64]:
    """Windows (count, length) over the concatenated stories, in `order`; the incomplete last one is dropped."""
    chosen = stories if order is None else [stories[i] for i in order]
    stream = np.concatenate(chosen)
    count = len(stream) // length
    return stream[: count * length].reshape(count, length).astype(np.int64)


def batches(stories: list[Tokens], length: int, size: int, seed: int, skip: int = 0) -> Iterator[NDArray[np.int64]]:
    """Endless batches (size, length), reshuffled every epoch. The first `skip` batches are skipped."""
    if sum(map(len, stories)) < size * length:
        raise ValueError(f"the corpus is shorter than one batch of {size} windows of {length} tokens")
    epoch = 0
    while True:
        shuffle = np.random.default_rng([seed, epoch])
        rows = windows(stories, length, shuffle.permutation(len(stories)))
        shuffle.shuffle(rows)
        for start in range(0, len(rows) - size + 1, size):
            if skip:
                skip -= 1
                continue
            yield rows[start : start + size]
        epoch += 1
