"""Requests from the arguments of the clients' methods."""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypedDict

from nexttoken.v1 import next_token_pb2 as pb

Prompt: TypeAlias = str | Sequence[int]
"""A text, or token ids that are used as they are."""


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


class ScoreOptions(TypedDict, total=False):
    """As in ScoreRequest; `top_k` is the number of alternatives at each token."""

    model: str
    top_k: int


def prompt(given: Prompt) -> dict[str, Any]:
    """The fields for a prompt."""
    return {"text": given} if isinstance(given, str) else {"token_ids": pb.TokenIds(ids=given)}


def top_k(given: Prompt, options: TopKOptions) -> pb.TopKRequest:
    """As TopKRequest."""
    return pb.TopKRequest(**prompt(given), **options)


def score(given: Prompt, options: ScoreOptions) -> pb.ScoreRequest:
    """As ScoreRequest."""
    return pb.ScoreRequest(**prompt(given), **options)
