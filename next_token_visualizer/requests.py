"""Requests from the arguments of the clients' methods."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from nexttoken.v1 import next_token_pb2 as pb

Prompt: TypeAlias = str | Sequence[int]
"""A text, or token ids that are used as they are."""


Special: TypeAlias = Literal["token", "text"]
"""What the names of special tokens in a text are: those tokens, or plain characters."""


class TopKOptions(TypedDict, total=False):
    """As in TopKRequest, whose comments give ranges; what is left out has the server's default."""

    model: str
    top_k: int
    temperature: float
    top_p: float
    min_p: float
    watch_token_ids: Sequence[int]
    draws: Sequence[float]
    include_prompt_tokens: bool
    include_partition: bool
    special: Special


class ScoreOptions(TypedDict, total=False):
    """As in ScoreRequest; `top_k` is the number of alternatives at each token."""

    model: str
    top_k: int
    special: Special


def prompt(given: Prompt) -> dict[str, Any]:
    """The fields for a prompt."""
    return {"text": given} if isinstance(given, str) else {"token_ids": pb.TokenIds(ids=given)}


def fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a message's fields."""
    special = options.get("special")
    return {**options, **({} if special is None else {"special": f"SPECIAL_TOKENS_{special.upper()}"})}


def top_k(given: Prompt, options: TopKOptions) -> pb.TopKRequest:
    """As TopKRequest."""
    return pb.TopKRequest(**prompt(given), **fields(options))


def score(given: Prompt, options: ScoreOptions) -> pb.ScoreRequest:
    """As ScoreRequest."""
    return pb.ScoreRequest(**prompt(given), **fields(options))
