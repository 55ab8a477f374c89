"""A conversation as a model's chat template writes it: its text, its ids, and which message each token belongs to."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from inference_server.errors import InvalidField
from inference_server.tokenizer.chat_renderer import ChatRenderer
from inference_server.tokenizer.chat_spans import Message, Span, spans
from inference_server.tokenizer.tokenizer import ModelTokenizer

TAG = "CONTINUE_FINAL_MESSAGE_TAG "  # as in transformers; the blank tells whether a template strips contents
NOT_SHOWN = "the chat template doesn't write the last message as it is, so it can't be continued"


@dataclass(frozen=True, slots=True)
class RenderedChat:
    """The text, its ids, and for each id the part of the text it begins in."""

    text: str
    token_ids: list[int]
    spans: list[Span]


def visible(text: str, start: int, end: int) -> int:
    """Where a token says something: many begin with the space in front of it, which may be the template's."""
    return next((at for at in range(start, end) if not text[at].isspace()), start)


class Chat:
    """One model's conversations. Blocks its caller."""

    def __init__(self, renderer: ChatRenderer, tokenizer: ModelTokenizer) -> None:
        self._renderer = renderer
        self._tokenizer = tokenizer

    def render(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        literal: bool = False,
    ) -> RenderedChat:
        """The ids are those of transformers' `apply_chat_template`: of the text as it is, with nothing in front.

        `literal`: the names of special tokens in the messages are plain characters; those the template writes are not.
        Raises InvalidField.
        """
        text = self._text(messages, add_generation_prompt, continue_final_message)
        bos = self._renderer.template.names.get("bos_token", "")
        parts = spans(text, messages, self._renderer.render, bos, add_generation_prompt)
        ids = self._tokenizer.encode_bare(text)
        starts = self._tokenizer.locate(ids, text)
        if literal:
            ids, starts = self._literally(text, parts, ids, starts)
        begins = [part.start for part in parts]
        places = map(partial(visible, text), starts, [*starts[1:], len(text)])
        return RenderedChat(text, ids, [parts[max(0, bisect_right(begins, place) - 1)] for place in places])

    def close(self) -> None:
        """Ends the template's process."""
        self._renderer.close()

    def _text(self, messages: Sequence[Message], add_generation_prompt: bool, continue_final_message: bool) -> str:
        turns = [{"role": role, "content": content} for role, content in messages]
        if not continue_final_message:
            (text,) = self._renderer.render([{"messages": turns, "add_generation_prompt": add_generation_prompt}])
            return text or ""
        final = turns[-1]["content"]
        turns[-1]["content"] = final + TAG
        (tagged,) = self._renderer.render([{"messages": turns, "add_generation_prompt": False}])
        text = tagged or ""
        if final.strip() not in text or TAG.strip() not in text:
            raise InvalidField("continue_final_message", NOT_SHOWN)
        at = text.rindex(TAG.strip())
        return text[:at] if text[at : at + len(TAG)] == TAG else text[:at].rstrip()

    def _literally(
        self, text: str, parts: Sequence[Span], ids: list[int], starts: list[int]
    ) -> tuple[list[int], list[int]]:
        """The ids where no special token is in the contents, and where each begins.

        What stands between the template's own special tokens is tokenized piece by piece, as tokenizers do it anyway.
        """
        begins = [part.start for part in parts]

        def is_content(start: int) -> bool:
            return parts[max(0, bisect_right(begins, start) - 1)].is_content

        special = [at for at, token_id in enumerate(ids) if self._tokenizer.is_special(token_id)]
        cuts = [at for at in special if not is_content(starts[at])]
        if len(cuts) == len(special):
            return ids, starts
        plain, literal, places = list[int](), list[int](), list[int]()
        begin = 0
        for at in [*cuts, None]:
            end = len(text) if at is None else starts[at]
            piece, after = text[begin:end], bool(begin)
            plain += self._tokenizer.encode_bare(piece, after=after)
            here = self._tokenizer.encode_bare(piece, after=after, literal=True)
            places += [begin + start for start in self._tokenizer.locate(here, piece)]
            literal += here
            if at is not None:
                plain.append(ids[at])
                literal.append(ids[at])
                places.append(end)
                begin = end + len(self._tokenizer.token(ids[at], ()).bytes.decode(errors="replace"))
        if plain != ids:
            raise InvalidField(
                "special", "this model's tokenizer can't keep special tokens out of the messages alone; use token"
            )
        return literal, places
