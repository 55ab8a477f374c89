"""Tokenizers as they are published: the ids are those of tokenizer.json itself, and the bytes are those of the text."""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import pytest
from published import MODEL, TOKENIZERS, folder
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from inference_server.engine import gguf_folder
from inference_server.tokenizer.chat import Chat
from inference_server.tokenizer.chat_renderer import ChatRenderer
from inference_server.tokenizer.chat_spans import Message
from inference_server.tokenizer.tokenizer import ModelTokenizer
from models.scripts import CODE, TEXTS

PREFIX = {"gemma3": ["<bos>"]}
LOST = {MODEL: "\x04\x06\x13\x14\x16\x1d"}  # bytes that its vocabulary holds no token of


@dataclass(frozen=True)
class Pair:
    """Our reading of a tokenizer's files, and that of the tokenizers library."""

    name: str
    ours: ModelTokenizer = field(repr=False)
    own: Tokenizer = field(repr=False)


@pytest.fixture(scope="module", params=[MODEL, *(f"tokenizers/{name}" for name in TOKENIZERS)])
def pair(request: pytest.FixtureRequest) -> Pair:
    files = folder(request.param)
    name = request.param.rpartition("/")[2]
    return Pair(name, ModelTokenizer.load(files), Tokenizer.from_file(str(files / "tokenizer.json")))


def test_what_goes_in_front(pair: Pair) -> None:
    assert pair.ours.prefix == [pair.own.token_to_id(name) for name in PREFIX.get(pair.name, [])]


def test_ids(pair: Pair) -> None:
    for text in [*TEXTS, " ".join(TEXTS)]:
        assert pair.ours.encode(text) == pair.own.encode(text).ids


def test_bytes(pair: Pair) -> None:
    lost = str.maketrans(dict.fromkeys(LOST.get(pair.name, "")))
    for text in TEXTS:
        kept = unicodedata.normalize("NFC", text) if pair.name == "qwen3" else text.translate(lost)  # its file says so
        tokens = pair.ours.spell(pair.ours.encode(text))[len(pair.ours.prefix) :]
        assert b"".join(token.bytes for token in tokens) == kept.encode()


def test_marks(pair: Pair) -> None:
    special = {index for index, token in pair.own.get_added_tokens_decoder().items() if token.special}
    assert special
    assert all(token.is_special for token in pair.ours.spell(sorted(special)))
    assert not any(token.is_special for token in pair.ours.spell(pair.own.encode(CODE, add_special_tokens=False).ids))


def test_an_edited_text_keeps_its_ids(pair: Pair) -> None:
    """Cut at a word, ids and text give the ids of the whole; cut anywhere, they spell the whole, and the ids stay."""
    words = re.compile(r"(?<=[^\W\d_])(?= [^\W\d_])")
    lost = str.maketrans(dict.fromkeys(LOST.get(pair.name, "")))
    cuts = 0
    for text in (unicodedata.normalize("NFC", text).translate(lost) for text in TEXTS):
        whole = pair.own.encode(text).ids
        for at in (match.start() for match in words.finditer(text)):
            cuts += 1
            assert pair.ours.encode_parts([pair.ours.encode(text[:at]), text[at:]]) == whole
        marks = any(token.is_special for token in pair.ours.spell(whole)[len(pair.ours.prefix) :])
        for at in () if marks else range(0, len(text), 7):
            before = pair.ours.encode(text[:at])
            ids = pair.ours.encode_parts([before, text[at:]])
            assert ids[: len(before)] == before
            assert pair.ours.decode(ids) == text
    assert cuts > 20


def test_nothing_is_put_between_the_parts(pair: Pair) -> None:
    mark = min(index for index, token in pair.own.get_added_tokens_decoder().items() if token.special)
    for text in ("on", " on", "\n", "123", "é", "'s"):
        inside = pair.own.encode(text, add_special_tokens=False).ids
        assert pair.ours.encode_parts([[mark], text, [mark]]) == [mark, *inside, mark]
        assert pair.ours.encode_parts([text, [mark]]) == [*pair.ours.prefix, *inside, mark]


TALKS = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi <|im_end|> 日本 🙂 "}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
]


def test_a_conversation_in_its_own_template() -> None:
    """As transformers has it; each content is found again."""
    files = folder(MODEL)
    judge: Any = AutoTokenizer.from_pretrained(files, local_files_only=True)
    ours = ModelTokenizer.load(files)
    chat = Chat(ChatRenderer(ours.template), ours)
    for talk in TALKS:
        turns = [Message(each["role"], each["content"]) for each in talk]
        for flags in ({}, {"add_generation_prompt": True}, {"continue_final_message": True}):
            expected: list[int] = judge.apply_chat_template(talk, return_dict=False, **flags)
            rendered = chat.render(turns, **flags)
            assert rendered.token_ids == expected
            tokens = zip(ours.spell(expected), rendered.spans, strict=True)
            said = [(span.message, token.bytes) for token, span in tokens if span.is_content]
            words = [b"".join(part for at, part in said if at == message) for message in range(len(talk))]
            assert [each.decode().strip() for each in words] == [each["content"].strip() for each in talk]
    chat.close()


def test_the_thoughts_of_qwen3_are_content() -> None:
    """Its published template writes those of the last answer and drops those before."""
    files = folder("tokenizers/qwen3")
    ours = ModelTokenizer.load(files)
    chat = Chat(ChatRenderer(ours.template), ours)
    thoughtful = Message("assistant", "<think>\nhm\n</think>\n\nDone")
    rendered = chat.render([Message("user", "Hi"), thoughtful, Message("user", "So?"), thoughtful])
    tokens = list(zip(ours.spell(rendered.token_ids), rendered.spans, strict=True))
    contents = [
        b"".join(token.bytes for token, span in tokens if span.is_content and span.message == at).decode()
        for at in range(4)
    ]
    assert contents == ["Hi", "Done", "So?", thoughtful.content]
    chat.close()


def test_a_gguf_file_has_the_same_template() -> None:
    files = folder(MODEL)
    source = files.with_name(f"{MODEL}.Q4_1.gguf")
    if not source.exists():
        pytest.skip("no published GGUF file")
    with gguf_folder.unpacked(source) as unpacked:
        packed = ModelTokenizer.load(unpacked)
    assert packed.template.source == ModelTokenizer.load(files).template.source
    chat = Chat(ChatRenderer(packed.template), packed)
    judge: Any = AutoTokenizer.from_pretrained(files, local_files_only=True)
    turns = [Message(each["role"], each["content"]) for each in TALKS[1]]
    assert chat.render(turns).token_ids == judge.apply_chat_template(TALKS[1], return_dict=False)
    chat.close()
