"""Which characters of a rendered conversation belong to which message, and which of them are its content.

A template may trim contents, merge them, drop them or add texts of its own. So the conversation is rendered once more
with marks around each content, characters that occur nowhere in it; what is between the marks is content. Where a
template drops one of the marks, as with the thoughts of an answer, it is as much of it as is next to the other.
What is around it is told apart by rendering parts of the conversation: a message's end is what follows its content when
it is the last one, and the first message's beginning is what precedes the same message later on.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

Texts = Callable[[list[dict[str, object]]], list[str | None]]
"""Renders conversations; None for those that the template does not take."""

PLANES = (0x100000, 0xF0000)  # private use: characters that mean nothing
UNFINISHED = re.compile(r"[<\[][^<>\[\]\s]*$")
MAX_MARKED = 30_000  # messages, two characters of a plane each: where one begins and, so much later, where it ends


class Message(NamedTuple):
    """One turn."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of the rendered text. `message` None: the template's own, of no message."""

    start: int
    end: int
    message: int | None
    is_content: bool


class Marked:
    """A rendering with marks: the text without them, and where each message's content is in it."""

    def __init__(self, rendered: str, plane: int, messages: Sequence[Message]) -> None:
        self.contents: list[tuple[int, int, int]] = []  # start, end, message
        parts, length, opened, lone = [], 0, dict[int, int](), list[tuple[int, int]]()
        for character in rendered:
            mark = ord(character) - plane
            if not 0 <= mark < 2 * MAX_MARKED:
                parts.append(character)
                length += 1
            elif mark < MAX_MARKED:
                opened[mark] = length
            elif (message := mark - MAX_MARKED) in opened:
                self.contents.append((opened.pop(message), length, message))
            else:
                lone.append((length, message))
        self.text = "".join(parts)
        for end, message in lone:
            begin = end - _shared(self.text[:end][::-1], messages[message].content.strip()[::-1])
            self._add(begin + _blanks(self.text[begin:end]), end, message)
        for message, start in opened.items():
            end = start + _shared(self.text[start:], messages[message].content.strip())
            self._add(start, end - _blanks(self.text[start:end][::-1]), message)
        self.contents.sort()

    def _add(self, start: int, end: int, message: int) -> None:
        """A content of which only one mark was found, if there is something of it between the others."""
        start = max([start, *(stop for _, stop, _ in self.contents if stop <= end)])
        if start < end and all(stop <= start or end <= begin for begin, stop, _ in self.contents):
            self.contents.append((start, end, message))

    def end_of(self, message: int) -> int | None:
        """Where a message's content ends, if it is there."""
        return next((end for _, end, found in self.contents if found == message), None)


def spans(
    text: str, messages: Sequence[Message], texts: Texts, bos: str, add_generation_prompt: bool = False
) -> list[Span]:
    """All of a rendered conversation, in order and without gaps.

    `text` is what `texts` makes of the messages, perhaps cut off where the last message is to be continued. Where a
    template is too odd to tell, the characters are of no message.
    """
    plane = next(
        (each for each in PLANES if not any(_occurs(each, part) for part in (text, *_contents(messages)))), None
    )
    if plane is None or len(messages) > MAX_MARKED:
        return [Span(0, len(text), None, is_content=False)]
    whole, first, bare = _render_marked(messages, texts, plane, add_generation_prompt)
    if whole is None or not whole.contents or not (text.startswith(whole.text) or whole.text.startswith(text)):
        return [Span(0, len(text), None, is_content=False)]
    closings = _closings(messages, texts, plane, whole)
    begins = whole.contents[0][0]
    opening = _opening(messages, first, closings)
    prelude = (
        begins - len(opening) if opening and whole.text[:begins].endswith(opening) else len(bos) * text.startswith(bos)
    )
    found = [Span(0, prelude, None, is_content=False), Span(prelude, begins, whole.contents[0][2], is_content=False)]
    for (start, end, message), following in zip(whole.contents, [*whole.contents[1:], None], strict=True):
        found.append(Span(start, end, message, is_content=True))
        limit = following[0] if following else len(whole.text)
        if following:
            closing = closings.get(messages[message].role, "")
        else:
            closing = bare[end:] if add_generation_prompt else whole.text[end:]
        closed = end + len(_common(closing, whole.text[end:limit]))
        found.append(Span(end, closed, message, is_content=False))
        found.append(Span(closed, limit, following[2] if following else len(messages), is_content=False))
    found.append(Span(len(whole.text), len(text), None, is_content=False))
    cut = [replace(span, end=min(span.end, len(text))) for span in found]
    return [span for span in cut if span.start < span.end]


def _render_marked(
    messages: Sequence[Message], texts: Texts, plane: int, add_generation_prompt: bool
) -> tuple[Marked | None, Marked | None, str]:
    """The conversation with marks; its first message, another one and the first again; it without generation prompt."""
    first = messages[0]
    other = Message("user" if first.role == "assistant" else "assistant", "x")
    asked = _conversation(messages, plane) | {"add_generation_prompt": add_generation_prompt}
    given = [messages, [first, other, first], messages]
    rendered = texts([asked, *(_conversation(each, plane) for each in given[1:])])
    whole, repeated, bare = (
        None if each is None else Marked(each, plane, of) for each, of in zip(rendered, given, strict=True)
    )
    return whole, repeated, bare.text if bare else ""


def _closings(messages: Sequence[Message], texts: Texts, plane: int, whole: Marked) -> dict[str, str]:
    """What the template writes behind the content of a message of each role."""
    first_of: dict[str, int] = {}
    for _, _, message in whole.contents:
        first_of.setdefault(messages[message].role, message)
    rendered = texts([_conversation(messages[: at + 1], plane) for at in first_of.values()])
    closings = {}
    for (role, at), text in zip(first_of.items(), rendered, strict=True):
        marked = None if text is None else Marked(text, plane, messages)
        if marked is not None and (end := marked.end_of(at)) is not None:
            closings[role] = marked.text[end:]
    return closings


def _opening(messages: Sequence[Message], repeated: Marked | None, closings: dict[str, str]) -> str:
    """What the template writes in front of the first message's content, wherever it stands; empty if it can't tell."""
    if repeated is None or [message for _, _, message in repeated.contents] != [0, 1, 2]:
        return ""
    (_, _, _), (_, end, _), (start, _, _) = repeated.contents
    gap = repeated.text[end:start]
    closing = closings.get("user" if messages[0].role == "assistant" else "assistant")
    if closing is None:
        closing = _common(gap, repeated.text[repeated.contents[0][1] : repeated.contents[1][0]])
    return gap.removeprefix(closing)


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _blanks(text: str) -> int:
    """How many blanks it begins with."""
    return len(text) - len(text.lstrip())


def _common(one: str, other: str) -> str:
    """What both begin with, without a special token's name of which they share only a part."""
    at = _shared(one, other)
    return one if at == len(one) else UNFINISHED.sub("", one[:at])


def _conversation(messages: Sequence[Message], plane: int) -> dict[str, object]:
    """Marks around each content, inside of its outer blanks, which a template may strip; none around blank ones."""
    marked = []
    for at, (role, content) in enumerate(messages):
        bare = content.strip()
        begins = content.index(bare) if bare else 0
        begin, end = (chr(plane + at), chr(plane + MAX_MARKED + at)) if bare else ("", "")
        inside = f"{content[:begins]}{begin}{bare}{end}{content[begins + len(bare) :]}"
        marked.append({"role": role, "content": inside})
    return {"messages": marked, "add_generation_prompt": False}


def _contents(messages: Sequence[Message]) -> list[str]:
    return [message.content for message in messages]


def _occurs(plane: int, text: str) -> bool:
    return any(plane <= ord(character) < plane + 2 * MAX_MARKED for character in text)
