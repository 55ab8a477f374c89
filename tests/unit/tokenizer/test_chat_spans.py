"""A rendered conversation is told apart without gaps, whatever the template does with its messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.chat_templates import BOS, EOS, TEMPLATES

from inference_server.tokenizer.chat_sandbox import answer
from inference_server.tokenizer.chat_spans import Message, Span, spans

TALK = [Message("user", "Hi!"), Message("assistant", "Yes?"), Message("user", "Hi!")]


def texts(source: str, conversations: list[dict[str, object]]) -> list[str | None]:
    found: list[str | None] = answer(
        {"template": source, "variables": {"bos_token": BOS, "eos_token": EOS}, "conversations": conversations}
    )["texts"]
    return found


def told(source: str, messages: list[Message]) -> tuple[str, list[Span]]:
    given = [{"role": role, "content": content} for role, content in messages]
    (text,) = texts(source, [{"messages": given, "add_generation_prompt": True}])
    assert text is not None
    return text, spans(text, messages, lambda conversations: texts(source, conversations), BOS, True)


def words(source: str, messages: list[Message]) -> list[tuple[int | None, bool, str]]:
    text, found = told(source, messages)
    return [(span.message, span.is_content, text[span.start : span.end]) for span in found]


@given(
    name=st.sampled_from(sorted(set(TEMPLATES) - {"llama2", "gemma", "mistral"})),
    contents=st.lists(st.text(max_size=12), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=60)
def test_all_of_a_text_is_told_once(name: str, contents: list[str]) -> None:
    messages = [Message(("user", "assistant")[at % 2], content) for at, content in enumerate(contents)]
    text, found = told(TEMPLATES[name], messages)
    assert [span.end for span in found[:-1]] == [span.start for span in found[1:]]
    assert (found[0].start, found[-1].end) == (0, len(text))


def test_equal_contents_are_told_apart() -> None:
    assert words(TEMPLATES["openchat"], TALK) == [
        (None, False, BOS),
        (0, False, "GPT4 Correct User: "),
        (0, True, "Hi!"),
        (0, False, "<|end_of_turn|>"),
        (1, False, "GPT4 Correct Assistant: "),
        (1, True, "Yes?"),
        (1, False, "<|end_of_turn|>"),
        (2, False, "GPT4 Correct User: "),
        (2, True, "Hi!"),
        (2, False, "<|end_of_turn|>"),
        (3, False, "GPT4 Correct Assistant:"),
    ]


def test_a_system_prompt_within_the_first_turn_is_its_own_message() -> None:
    found = words(TEMPLATES["gemma3"], [Message("system", "Be brief."), Message("user", "Hi!")])
    assert [(message, text) for message, is_content, text in found if is_content] == [(0, "Be brief."), (1, "Hi!")]


def test_an_end_that_only_a_finished_conversation_has_is_nobodys() -> None:
    assert words(TEMPLATES["phi3"], TALK[:2]) == [
        (0, False, "<|user|>\n"),
        (0, True, "Hi!"),
        (0, False, "<|end|>\n"),
        (1, False, "<|assistant|>\n"),
        (1, True, "Yes?"),
        (1, False, "<|end|>\n"),
        (2, False, "<|assistant|>\n"),
    ]


THOUGHTFUL = Message("assistant", "<think>\nhm\n</think>\n\nDone")


def test_an_answer_keeps_its_words_where_the_template_takes_its_thoughts_apart() -> None:
    """Qwen's writes the thoughts of the last answer anew, and drops those before."""
    ask, again = Message("user", "Hi!"), Message("user", "So?")
    end, begins = "<|im_end|>\n", "<|im_start|>assistant\n"
    assert words(TEMPLATES["qwen3"], [ask, THOUGHTFUL])[3:] == [
        (1, False, begins),
        (1, True, THOUGHTFUL.content),
        (1, False, end),
        (2, False, begins),
    ]
    assert words(TEMPLATES["qwen3"], [ask, THOUGHTFUL, again, THOUGHTFUL])[3:6] == [
        (1, False, begins),
        (1, True, "Done"),
        (1, False, end),
    ]


@pytest.mark.parametrize(("which", "shown"), [("first", "One"), ("last", "three")])
def test_a_content_of_which_a_part_is_dropped_is_the_rest(which: str, shown: str) -> None:
    source = f"{{% for m in messages %}}[{{{{ m.content.split(', ') | {which} }}}}]{{% endfor %}}"
    found = words(source, [Message("user", "One, two, three")])
    assert [text for _, is_content, text in found if is_content] == [shown]


def test_a_dropped_message_is_nowhere() -> None:
    source = "{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}"
    found = words(source, [Message("system", "Be brief."), Message("user", "Hi!")])
    assert [(message, text) for message, is_content, text in found if is_content] == [(1, "Hi!")]


@pytest.mark.parametrize("source", ["{{ messages | length }}", "{{ messages[0].content | reverse }}"])
def test_what_can_not_be_told_belongs_to_no_message(source: str) -> None:
    text, found = told(source, TALK)
    assert "".join(text[span.start : span.end] for span in found) == text
    assert not any(span.is_content and text[span.start : span.end] == "Hi!" for span in found)
