"""Conversations have the ids that transformers' `apply_chat_template` gives them, and each token knows its message."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from models.chat_templates import BOS, EOS, SPECIAL, TEMPLATES
from models.tokenizers import build
from tokenizers import AddedToken, Tokenizer
from transformers import AutoTokenizer

from inference_server.errors import InvalidField
from inference_server.models import bundled
from inference_server.tokenizer.chat import Chat, RenderedChat
from inference_server.tokenizer.chat_renderer import ChatRenderer
from inference_server.tokenizer.chat_spans import Message
from inference_server.tokenizer.chat_template import ChatTemplate
from inference_server.tokenizer.tokenizer import ModelTokenizer

CONVERSATIONS: dict[str, list[tuple[str, str]]] = {
    "question": [("user", "What is the capital of France?")],
    "turns": [("user", "Hi!"), ("assistant", "Hello, how can I help?"), ("user", "Name a colour.\n\nOnly one.")],
    "told": [("system", "You speak like a pirate."), ("user", " Where is the ship? "), ("assistant", "Aye, at sea")],
    "alike": [("user", "a"), ("assistant", "a"), ("user", "a"), ("assistant", "user")],
    "odd": [("user", f"Write {EOS} and 日本語 🙂"), ("assistant", "<think>\nhm\n</think>\n\nDone")],
    "blank": [("user", "  "), ("assistant", "")],
}
FLAGS = {"closed": (False, False), "to_answer": (True, False), "open": (False, True)}


@pytest.fixture(scope="module", params=["bundled", "sentencepiece_bpe"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a tokenizer that has all special tokens of the templates, and puts its own beginning in front of texts."""
    path = tmp_path_factory.mktemp(request.param)
    source = bundled.FOLDER
    if request.param != "bundled":
        build(request.param, source := tmp_path_factory.mktemp("source"))
    backend = Tokenizer.from_file(str(source / "tokenizer.json"))
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    backend.save(str(path / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS, "add_bos_token": True}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def judge(folder: Path) -> Any:
    """The tokenizer as transformers gives it to anyone."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module")
def renderers() -> Iterator[Callable[[str], ChatRenderer]]:
    """By template, each with its own process; they serve every tokenizer."""
    made: dict[str, ChatRenderer] = {}

    def of(source: str) -> ChatRenderer:
        if source not in made:
            made[source] = ChatRenderer(ChatTemplate(source, {"bos_token": BOS, "eos_token": EOS}, ""))
        return made[source]

    yield of
    for renderer in made.values():
        renderer.close()


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> ModelTokenizer:
    return ModelTokenizer.load(folder)


@pytest.fixture(scope="module")
def chats(tokenizer: ModelTokenizer, renderers: Callable[[str], ChatRenderer]) -> Callable[[str], Chat]:
    """By template."""
    return lambda source: Chat(renderers(source), tokenizer)


def expected(judge: Any, template: str, turns: list[tuple[str, str]], flags: tuple[bool, bool]) -> list[int] | None:
    """transformers' ids; None where it, or the template, refuses."""
    given = [{"role": role, "content": content} for role, content in turns]
    try:
        ids = judge.apply_chat_template(
            given,
            chat_template=template,
            add_generation_prompt=flags[0],
            continue_final_message=flags[1],
            return_dict=False,
        )
    except Exception:  # whatever it is, it has to be refused here as well
        return None
    return list(ids)


def turns(of: list[tuple[str, str]]) -> list[Message]:
    return [Message(role, content) for role, content in of]


@pytest.mark.parametrize("name", TEMPLATES)
def test_ids_are_those_of_transformers(
    judge: Any, chats: Callable[[str], Chat], tokenizer: ModelTokenizer, name: str
) -> None:
    chat = chats(TEMPLATES[name])
    answered = 0
    for conversation in CONVERSATIONS.values():
        for flags in FLAGS.values():
            ids = expected(judge, TEMPLATES[name], conversation, flags)
            try:
                rendered = chat.render(turns(conversation), *flags)
            except InvalidField:
                assert ids is None
                continue
            assert rendered.token_ids == ids
            assert len(rendered.spans) == len(rendered.token_ids)
            written = rendered.text.count(BOS)
            assert rendered.token_ids.count(tokenizer.bos_id or 0) == written
            assert written <= sum(role == "user" for role, _ in conversation)
            answered += 1
    assert answered >= 6


def told(rendered: RenderedChat, tokenizer: ModelTokenizer) -> list[tuple[int | None, bool, str]]:
    """Runs of tokens that belong together, as message, whether it is content, and text."""
    runs: list[tuple[int | None, bool, str]] = []
    for token, span in zip(tokenizer.spell(rendered.token_ids), rendered.spans, strict=True):
        text = token.bytes.decode(errors="replace")
        if runs and runs[-1][:2] == (span.message, span.is_content):
            text = runs.pop()[2] + text
        runs.append((span.message, span.is_content, text))
    return runs


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_message_finds_its_words_again(chats: Callable[[str], Chat], tokenizer: ModelTokenizer, name: str) -> None:
    conversation = CONVERSATIONS["turns"]
    rendered = chats(TEMPLATES[name]).render(turns(conversation), add_generation_prompt=True)
    runs = told(rendered, tokenizer)
    contents = {message: text.strip() for message, is_content, text in runs if is_content}
    assert contents == {at: content for at, (_, content) in enumerate(conversation)}
    order = [message for message, _, _ in runs if message is not None]
    assert order == sorted(order)


def test_a_template_is_told_apart_mark_by_mark(chats: Callable[[str], Chat], tokenizer: ModelTokenizer) -> None:
    rendered = chats(TEMPLATES["smollm"]).render(turns(CONVERSATIONS["turns"]), add_generation_prompt=True)
    assert told(rendered, tokenizer) == [
        (None, False, "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n"),
        (0, False, "<|im_start|>user\n"),
        (0, True, "Hi!"),
        (0, False, "<|im_end|>\n"),
        (1, False, "<|im_start|>assistant\n"),
        (1, True, "Hello, how can I help?"),
        (1, False, "<|im_end|>\n"),
        (2, False, "<|im_start|>user\n"),
        (2, True, "Name a colour.\n\nOnly one."),
        (2, False, "<|im_end|>\n"),
        (3, False, "<|im_start|>assistant\n"),
    ]


def test_an_open_turn_has_no_end(chats: Callable[[str], Chat], tokenizer: ModelTokenizer) -> None:
    rendered = chats(TEMPLATES["llama3"]).render(turns(CONVERSATIONS["told"]), continue_final_message=True)
    assert told(rendered, tokenizer)[-1] == (2, True, "Aye, at sea")
    assert told(rendered, tokenizer)[0] == (None, False, BOS)


def test_names_of_special_tokens_can_be_plain_characters(
    chats: Callable[[str], Chat], tokenizer: ModelTokenizer
) -> None:
    given = [Message("user", f"Write {EOS} twice: {EOS}<|im_end|>"), Message("assistant", "No")]
    chat = chats(TEMPLATES["chatml"])
    plain, literal = chat.render(given), chat.render(given, literal=True)
    assert plain.text == literal.text
    ((end,), (eos,)) = (tokenizer.encode_bare(name, after=True) for name in ("<|im_end|>", EOS))
    assert (plain.token_ids.count(eos), plain.token_ids.count(end)) == (2, 3)
    assert (literal.token_ids.count(eos), literal.token_ids.count(end)) == (0, 2)
    spelled = [text for _, is_content, text in told(literal, tokenizer) if is_content]
    assert [text.strip() for text in spelled] == [message.content for message in given]


def test_nothing_changes_where_no_special_token_is_named(chats: Callable[[str], Chat]) -> None:
    chat, given = chats(TEMPLATES["gemma"]), turns(CONVERSATIONS["turns"])
    assert chat.render(given, literal=True).token_ids == chat.render(given).token_ids


def test_a_template_that_drops_the_last_message_leaves_it_nowhere_to_continue(chats: Callable[[str], Chat]) -> None:
    with pytest.raises(InvalidField, match="continue_final_message: the chat template doesn't write the last message"):
        chats("{{ messages[0].content }}").render(turns(CONVERSATIONS["alike"]), continue_final_message=True)


def test_a_template_too_odd_to_tell_apart_still_gives_ids(judge: Any, chats: Callable[[str], Chat]) -> None:
    odd = "{% for message in messages %}{{ message.content | length }}{{ message.content | upper }}{% endfor %}"
    rendered = chats(odd).render(turns(CONVERSATIONS["turns"]))
    assert rendered.token_ids == expected(judge, odd, CONVERSATIONS["turns"], (False, False))
    assert {span.message for span in rendered.spans} <= {None, 0, 1, 2}
