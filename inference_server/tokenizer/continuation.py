"""Tokenizes text that continues other tokens: nothing is put in front of it, as some tokenizers do with every text.

SentencePiece's models begin each text with a space of their own, and some normalizers strip a first space. Both are for
a text's beginning; after other tokens they would insert or lose a space that nobody typed.
"""

import json
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, models

from inference_server.errors import InvalidField

ANCHORS = ("\n", ".", "a", "1", "。", "!a")
ALWAYS: dict[str, dict[str, Any]] = {
    "Metaspace": {"prepend_scheme": "never"},
    "ByteLevel": {"add_prefix_space": False},
    "Strip": {"strip_left": False},
}
"""What to change in a normalizer or pre-tokenizer of tokenizer.json, by its type."""


def of(backend: Tokenizer) -> Tokenizer:
    """A tokenizer of the same vocabulary for text after other tokens; `backend` itself if it treats all text alike."""
    rules = parts_of(backend)
    changed = {name: without_front(part) for name, part in rules.items()}
    if changed == rules:
        return backend
    shell = Tokenizer.from_str(json.dumps(json.loads(Tokenizer(models.WordLevel({})).to_str()) | changed))
    after = Tokenizer(backend.model)  # shares the vocabulary instead of copying it
    copy_parts(shell, after)
    for _, token in sorted(backend.get_added_tokens_decoder().items()):
        (after.add_special_tokens if token.special else after.add_tokens)([token])
    return after


def anchored(encode: Callable[[str], list[int]]) -> Callable[[str], list[int]]:
    """Encoding after other tokens, for a tokenizer known only by its encoding: what follows a character that it splits
    off. Raises InvalidField where it splits off none."""

    def encode_after(text: str) -> list[int]:
        if not text:
            return []
        for anchor in ANCHORS:
            front, ids = encode(anchor), encode(anchor + text)
            if len(ids) > len(front) and ids[: len(front)] == front:
                return ids[len(front) :]
        raise InvalidField(
            "parts", "this model's tokenizer can't tokenize this text after other tokens; send token_ids"
        )

    return encode_after


def parts_of(backend: Tokenizer) -> dict[str, Any]:
    """The normalizer and the pre-tokenizer in tokenizer.json's format."""
    shell = Tokenizer(models.WordLevel({}))  # serialising the real vocabulary would take much longer
    copy_parts(backend, shell)
    written = json.loads(shell.to_str())
    return {name: written[name] for name in ("normalizer", "pre_tokenizer")}


def copy_parts(source: Tokenizer, target: Tokenizer) -> None:
    """The normalizer and the pre-tokenizer, where there are any."""
    if source.normalizer is not None:
        target.normalizer = source.normalizer
    if source.pre_tokenizer is not None:
        target.pre_tokenizer = source.pre_tokenizer


def without_front(part: Any) -> Any:
    """A normalizer or pre-tokenizer that does nothing to the beginning of a text; None if it did nothing else."""
    if part is None or at_beginning(part):
        return None
    for steps in ("normalizers", "pretokenizers"):
        if steps in part:
            return part | {steps: [step for step in map(without_front, part[steps]) if step is not None]}
    return part | ALWAYS.get(part["type"], {})


def at_beginning(part: dict[str, Any]) -> bool:
    """Whether it only concerns the beginning of a text."""
    pattern = part.get("pattern")
    return part["type"] == "Prepend" or (isinstance(pattern, dict) and pattern.get("Regex", "").startswith("^"))
