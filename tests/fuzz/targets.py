"""What is fuzzed: each target takes any bytes, and raises where something is wrong. Needs no fuzzer to run."""

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from models.tokenizers import build
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from fuzz.data import Data
from fuzz.decoders_target import decoders
from fuzz.gguf_target import gguf
from fuzz.http_target import http
from inference_server.errors import LoadFailed
from inference_server.models import bundled, checkpoint
from inference_server.tokenizer.tokenizer import ModelTokenizer
from web_gateway import (
    chat_messages,
    compare_messages,
    generate_messages,
    grow_messages,
    influence_messages,
    layer_messages,
    messages,
    model_messages,
)
from web_gateway.api import schemas
from web_gateway.errors import InvalidRequest

Target = Callable[[bytes], None]

KINDS = (
    messages.NextTokenRequest,
    messages.ScoreRequest,
    model_messages.LoadRequest,
    layer_messages.LayersRequest,
    compare_messages.CompareRequest,
    grow_messages.GrowRequest,
    generate_messages.GenerateRequest,
    influence_messages.InfluenceRequest,
    chat_messages.RenderChatRequest,
)
VOCABULARIES = ("bundled", "byte_bpe", "sentencepiece_bpe", "wordpiece")
MOST_TEXT = 200  # bytes; each of its tokens is looked at after all before it
MOST_WORDS = 700  # of a refusal, in characters


def schema(data: bytes) -> None:
    """A body is the request it says, or refused in words that can be sent."""
    choices = Data(data)
    kind: Any = choices.choice(KINDS)
    body = choices.rest()
    try:
        request = schemas.parse(body, kind)
    except InvalidRequest as refused:
        refusal = refused
    else:
        said = json.loads(body)
        kept = json.loads(schemas.render(request))
        assert all(kept[name] == value for name, value in said.items()), (said, kept)
        return
    assert 10 < len(str(refusal)) < MOST_WORDS, refusal
    assert refusal.field is None or len(refusal.field) <= MOST_WORDS
    msgspec.json.encode(
        messages.Problem(error=str(refusal), code="invalid_argument", field=refusal.field or msgspec.UNSET)
    )


@cache
def vocabulary(kind: str) -> tuple[ModelTokenizer, PreTrainedTokenizerBase]:
    """A vocabulary, and the tokenizer that judges it."""
    if kind == "bundled":
        folder = bundled.FOLDER
    else:
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        build(kind, folder)
    return ModelTokenizer.load(folder), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def tokens(data: bytes) -> None:
    """The bytes of any tokens are what the tokenizer decodes, and those of a text's are the text."""
    choices = Data(data)
    kind = choices.choice(VOCABULARIES)
    ours, judge = vocabulary(kind)
    if choices.byte() % 2:
        text = choices.rest()[:MOST_TEXT].decode(errors="ignore")
        ids = ours.encode(text)
        if kind in ("bundled", "byte_bpe"):
            kept = text
            for mark in judge.all_special_tokens:
                kept = kept.replace(mark, "")
            assert ours.decode(ids) == kept
    else:
        ids = [choices.number(ours.size) for _ in choices.some(40)]
    spelled = ours.spell(ids)
    assert [ours.token(each, ids[:at]) for at, each in enumerate(ids)] == spelled
    raw = b"".join(token.bytes for token in spelled if not token.is_special)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return  # half a character: the tokenizer's own decoder loses it
    assert text == judge.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@cache
def folder_of_weights() -> Path:
    """A folder whose files are written anew for each input."""
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def weights(data: bytes) -> None:
    """Any file of weights or of their names is inspected, or refused in words."""
    choices = Data(data)
    folder = folder_of_weights()
    for file in folder.iterdir():
        file.unlink()
    which, rest = choices.byte() % 4, choices.rest()
    single = folder / "model.safetensors"
    if which == 0:
        single.write_bytes(rest)
    elif which == 1:  # a header that fits its file, whatever it says
        single.write_bytes(len(rest).to_bytes(8, "little") + rest)
    elif which == 2:
        (folder / "model.safetensors.index.json").write_bytes(rest)
    else:
        single.write_bytes((2).to_bytes(8, "little") + b"{}")
        (folder / "tokenizer_config.json").write_bytes(rest)
    try:
        checkpoint.inspect(folder)
        assert checkpoint.context_limit(object(), folder) > 0
    except LoadFailed as refused:
        words = str(refused)
    else:
        words = "it is as it should be"
    assert 10 < len(words) < MOST_WORDS, words


TARGETS: dict[str, Target] = {
    "http": http,
    "schema": schema,
    "tokens": tokens,
    "decoders": decoders,
    "weights": weights,
    "gguf": gguf,
}
