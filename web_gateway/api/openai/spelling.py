"""Tokens as this API names them: by text, by bytes where they are no text, or by id."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from web_gateway.api.openai.answers import PromptLogprob, TextLogprobs, TokenLogprob, TopLogprob
from web_gateway.api.openai.pieces import Placed, Written

IMPOSSIBLE = -9999.0  # for minus infinity, which JSON lacks; as OpenAI and vLLM have it


class Spelled(Protocol):
    """A token."""

    @property
    def token_id(self) -> int: ...

    @property
    def text(self) -> str | None: ...

    @property
    def bytes(self) -> bytes: ...

    @property
    def is_special(self) -> bool: ...


def name(token: Spelled, by_id: bool, prefix: str = "") -> str:
    """A token's text; `\\xNN` behind `prefix` for bytes that are no UTF-8 on their own; `token_id:N` without any."""
    if by_id or not token.bytes:
        return f"token_id:{token.token_id}"
    if token.text is not None:
        return token.text
    return prefix + "".join(f"\\x{byte:02x}" for byte in token.bytes)


def logprob(placed: Placed) -> float:
    """A log-probability as a JSON number."""
    return max(IMPOSSIBLE, placed.logprob)


def text_logprobs(tokens: Sequence[Written], count: int, by_id: bool) -> TextLogprobs:
    """As /v1/completions has them: by name, `bytes:\\xNN` where that is no text."""
    told = TextLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
    for written in tokens:
        own = written.own
        told.tokens.append(name(own.token, by_id, "bytes:"))
        told.text_offset.append(written.offset)
        told.token_logprobs.append(logprob(own) if written.conditioned else None)
        shown = by_name((*written.top[:count], own), by_id)
        told.top_logprobs.append(shown if written.conditioned else None)
    return told


def by_name(placed: Iterable[Placed], by_id: bool) -> dict[str, float]:
    """Log-probabilities by name; of several tokens with one name, the highest."""
    shown: dict[str, float] = {}
    for each in placed:
        key = name(each.token, by_id, "bytes:")
        shown[key] = max(logprob(each), shown.get(key, IMPOSSIBLE))
    return shown


def prompt_logprobs(tokens: Sequence[Written], count: int) -> list[dict[str, PromptLogprob] | None]:
    """As vLLM has them: by id, the token itself first."""
    return [
        {
            str(each.token.token_id): PromptLogprob(
                logprob=logprob(each), rank=each.rank, decoded_token=name(each.token, by_id=False, prefix="bytes:")
            )
            for each in (written.own, *written.top[:count])
        }
        if written.conditioned
        else None
        for written in tokens
    ]


def chat_logprobs(tokens: Sequence[Written], count: int, by_id: bool) -> list[TokenLogprob]:
    """As /v1/chat/completions has them."""
    return [
        TokenLogprob(
            token=name(written.own.token, by_id),
            logprob=logprob(written.own),
            bytes=exact(written.own.token),
            top_logprobs=[
                TopLogprob(token=name(each.token, by_id), logprob=logprob(each), bytes=exact(each.token))
                for each in written.top[:count]
            ],
        )
        for written in tokens
    ]


def exact(token: Spelled) -> list[int] | None:
    """The bytes that a token adds to the text; None for a special token."""
    return None if token.is_special else list(token.bytes)
