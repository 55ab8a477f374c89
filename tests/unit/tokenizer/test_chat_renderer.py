"""A template that is broken, endless or huge is refused in words, and what comes after it is rendered."""

from collections.abc import Callable, Iterator

import pytest

from inference_server.errors import InvalidField
from inference_server.tokenizer import chat_sandbox
from inference_server.tokenizer.chat_renderer import ChatRenderer
from inference_server.tokenizer.chat_template import NONE, ChatTemplate

HELLO = {"messages": [{"role": "user", "content": "Hello"}], "add_generation_prompt": False}
FINE = "{{ bos_token }}{% for message in messages %}{{ message.content }}{% endfor %}"
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"

BAD: dict[str, tuple[str, str]] = {
    "syntax": ("{% for message in %}", "is broken: line 1: "),
    "unknown tag": ("{% shell 'ls' %}", "is broken: line 1: "),
    "unknown name": ("{{ nobody.content }}", "is broken: 'nobody' is undefined"),
    "file": ("{% include '/etc/passwd' %}", "is broken: "),
    "attribute": ("{{ messages.__class__.__mro__ }}", "is broken: access to attribute '__class__'"),
    "function": ("{{ raise_exception.__globals__['json'] }}", "is broken: access to attribute '__globals__'"),
    "namespace": ("{% set n = namespace(_x=1) %}", "is broken: a namespace can't hold '_x'"),
    "changed messages": ("{{ messages.append(1) }}", "is broken: "),
    "wrong sum": ("{{ 1 + 'a' }}", "is broken: unsupported operand"),
    "zero": ("{{ 1 // 0 }}", "is broken: "),
    "power": ("{{ 7 ** (messages | length * 10 ** 8) }}", "is broken: takes more than 2 s"),
    "recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "is broken: calls itself without end"),
    "memory": ("{{ 'a' * 10 ** 10 }}", "is broken: needs more than 512 MiB of memory"),
    "huge": ("{% for a in range(9999) %}{{ 'a' * 9999 }}{% endfor %}", "is broken: writes more than 4,000,000"),
    "range": ("{% for a in range(10 ** 9) %}{% endfor %}", "is broken: Range too big"),
    "refusal": ("{{ raise_exception('System role not supported') }}", "refuses them: System role not supported"),
    "long refusal": ("{{ raise_exception('no' * 9999) }}", "refuses them: nonono"),
}


@pytest.fixture
def renderer() -> Iterator[Callable[[str], ChatRenderer]]:
    made: list[ChatRenderer] = []

    def of(source: str) -> ChatRenderer:
        made.append(ChatRenderer(ChatTemplate(source, {"bos_token": "<s>"}, "")))
        return made[-1]

    yield of
    for each in made:
        each.close()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_template_is_refused_in_words(renderer: Callable[[str], ChatRenderer], name: str) -> None:
    source, words = BAD[name]
    with pytest.raises(InvalidField) as refused:
        renderer(source).render([HELLO])
    assert refused.value.field == ("messages" if "refus" in name else "model")
    assert words in refused.value.fault
    assert len(refused.value.fault) < 400


def test_after_one_that_never_ends_the_next_is_rendered(renderer: Callable[[str], ChatRenderer]) -> None:
    """The same template, which only one conversation makes endless."""
    chat = renderer("{% if messages[0].content == 'x' %}" + LOOPS + "{% endif %}" + FINE)
    endless = {**HELLO, "messages": [{"role": "user", "content": "x"}]}
    assert chat.render([HELLO]) == ["<s>Hello"]
    with pytest.raises(InvalidField, match=f"takes more than {chat_sandbox.CPU_S:g} s"):
        chat.render([endless])
    assert chat.render([HELLO]) == ["<s>Hello"]


def test_only_the_first_conversation_has_to_be_taken(renderer: Callable[[str], ChatRenderer]) -> None:
    chat = renderer("{% if messages[0].content != 'Hello' %}{{ raise_exception('no') }}{% endif %}" + FINE)
    other = {**HELLO, "messages": [{"role": "user", "content": "x"}]}
    assert chat.render([HELLO, other, HELLO]) == ["<s>Hello", None, "<s>Hello"]


def test_a_process_that_was_ended_is_started_again(renderer: Callable[[str], ChatRenderer]) -> None:
    chat = renderer(FINE)
    assert chat.render([HELLO]) == ["<s>Hello"]
    chat.close()
    assert chat.render([HELLO]) == ["<s>Hello"]


def test_a_model_without_a_template_says_so() -> None:
    with pytest.raises(InvalidField) as refused:
        ChatRenderer(ChatTemplate()).render([HELLO])
    assert (refused.value.field, refused.value.fault) == ("model", NONE)
