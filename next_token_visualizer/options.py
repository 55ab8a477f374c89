"""What the clients' methods take beside a prompt; what is left out has the server's default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict

from next_token_visualizer.samplers import Step

Prompt: TypeAlias = str | Sequence[int]
"""A text, or token ids that are used as they are."""

Special: TypeAlias = Literal["token", "text"]
"""What the names of special tokens in a text are: those tokens, or plain characters."""


class TopKOptions(TypedDict, total=False):
    """As in TopKRequest, whose comments give ranges."""

    model: str
    top_k: int
    temperature: float
    top_p: float
    min_p: float
    watch_token_ids: Sequence[int]
    draws: Sequence[float]
    include_prompt_tokens: bool
    include_partition: bool
    samplers: Sequence[Step]
    answer_start: int
    constrained_from: int
    special: Special


class ScoreOptions(TypedDict, total=False):
    """As in ScoreRequest; `top_k` is the number of alternatives at each token."""

    model: str
    top_k: int
    special: Special


class LayersOptions(TypedDict, total=False):
    """As in LayersRequest."""

    model: str
    position: int
    top_k: int
    temperature: float
    watch_token_ids: Sequence[int]
    contrast: Sequence[int]
    include_attention: bool
    include_prompt_tokens: bool
    special: Special


class GenerateOptions(TypedDict, total=False):
    """As in GenerateRequest; `resume` has the ids that each unfinished continuation had, by its index."""

    model: str
    max_tokens: int
    temperature: float
    top_p: float
    min_p: float
    seed: int
    n: int
    stop: Sequence[str]
    stop_token_ids: Sequence[int]
    top_k: int
    resume: Mapping[int, Sequence[int]]
    include_partition: bool
    samplers: Sequence[Step]
    special: Special


class GrowOptions(TypedDict, total=False):
    """As in GrowRequest."""

    model: str
    depth: int
    coverage: float
    max_nodes: int
    width: int
    special: Special


class InfluenceOptions(TypedDict, total=False):
    """As in InfluenceRequest."""

    model: str
    contrast: int
    unit: Literal["token", "word", "sentence"]
    method: Literal["hide", "take_out", "gradient"]
    replace_with: int
    budget: int
    special: Special


@dataclass(frozen=True)
class Question:
    """One side of a comparison: a prompt and how its next token is sampled, as in ComparedQuestion."""

    prompt: Prompt
    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    min_p: float | None = None
    samplers: Sequence[Step] = ()
    answer_start: int | None = None
    constrained_from: int | None = None
    special: Special | None = None


class CompareOptions(TypedDict, total=False):
    """As in CompareRequest."""

    top_k: int
    include_prompt_tokens: bool


class Turn(TypedDict):
    """One turn of a conversation; most templates know the roles system, user and assistant."""

    role: str
    content: str


class TokenizeOptions(TypedDict, total=False):
    """As in TokenizeRequest."""

    model: str
    bare: bool
    include_tokenizer: bool
    special: Special


class RenderChatOptions(TypedDict, total=False):
    """As in RenderChatRequest."""

    model: str
    add_generation_prompt: bool
    continue_final_message: bool
    special: Special
