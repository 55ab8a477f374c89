"""Masks of published tokenizers, step after step: those that llguidance makes of the same tokenizer.json by itself."""

import json
import re
from collections.abc import Set
from pathlib import Path

import llguidance
import numpy as np
import pytest
from numpy.typing import NDArray
from published import MODEL, folder

from inference_server.engine import gguf_folder
from inference_server.masks.masks import Masks
from inference_server.tokenizer.tokenizer import ModelTokenizer
from models.test_masked import CHOICES, FORMS


def own_mask(matcher: llguidance.LLMatcher, size: int) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little").astype(bool)
    assert not bits[size:].any()
    return bits[:size]


def steps_that_agree(tokenizer: ModelTokenizer, own: Path, end: int, ours_alone: Set[int] = frozenset()) -> int:
    """Step after step of random texts; how many there are. `ours_alone`: text to us, and special to the library."""
    known = llguidance.LLTokenizer(str(own), n_vocab=tokenizer.size, eos_token=[end])
    masks = Masks(tokenizer, tokenizer.size, [end])
    rng, steps, alone = np.random.default_rng(4), 0, sorted(ours_alone)
    for form, kind in zip(FORMS, ("choice", "regex", "json_schema", "lark"), strict=True):
        grammar = llguidance.grammar_from(kind, json.dumps(CHOICES) if kind == "choice" else form.source[0])  # type: ignore[arg-type]
        for _ in range(3):
            matcher, text = llguidance.LLMatcher(known, grammar), masks.begin(form, tokenizer.encode("so"))
            for _ in range(25):
                allowed, theirs = text.allowed(), own_mask(matcher, tokenizer.size)
                assert not theirs[alone].any()
                allowed[alone] = False
                assert np.array_equal(allowed, theirs)
                steps += 1
                token_id = int(rng.choice(np.flatnonzero(theirs)))
                assert matcher.consume_token(token_id)
                assert text.add([token_id]) is None
                if token_id == end:
                    break
    masks.close()
    return steps


def text_and_added(files: Path) -> frozenset[int]:
    """Added tokens named <...> that tokenizer.json does not call special: text, which the library takes for special."""
    added = json.loads((files / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    marks = (token for token in added if not token["special"] and re.fullmatch("<.*>", token["content"]))
    return frozenset(token["id"] for token in marks)


def test_of_the_published_model_in_both_its_formats() -> None:
    files = folder(MODEL)
    own = files / "tokenizer.json"
    assert not text_and_added(files)
    tokenizer = ModelTokenizer.load(files)
    assert steps_that_agree(tokenizer, own, 2) > 100
    source = files.with_name(f"{MODEL}.Q4_1.gguf")
    if not source.exists():
        pytest.skip("no published GGUF file")
    with gguf_folder.unpacked(source) as unpacked:
        packed = ModelTokenizer.load(unpacked)
    assert steps_that_agree(packed, own, 2) > 100


@pytest.mark.parametrize("name", ["llama3", "qwen3", pytest.param("gemma3", marks=pytest.mark.soak)])
def test_of_published_tokenizers(name: str) -> None:
    files = folder(f"tokenizers/{name}")
    tokenizer = ModelTokenizer.load(files)
    assert tokenizer.eos_id is not None
    assert steps_that_agree(tokenizer, files / "tokenizer.json", tokenizer.eos_id, text_and_added(files)) > 100
