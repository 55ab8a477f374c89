"""Layers' request and answer as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference_server.messages import TOKEN, Candidate, Timings, Token

MAX_LAYER_TOP_K = 100


@dataclass(frozen=True, slots=True)
class LayersQuery:
    """A prompt, as text or as token ids (exactly one is not None), and what to tell of the layers at one position."""

    text: str | None = None
    token_ids: Sequence[int] | None = None
    position: int | None = None
    """None: the last."""
    top_k: int = 10
    temperature: float = 1.0
    watch_token_ids: Sequence[int] = ()
    contrast: Sequence[int] = ()
    include_attention: bool = False
    include_prompt_tokens: bool = False
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class Layer:
    """What the network would say if its last block were this one; 0: the embedding."""

    layer: int
    candidates: Sequence[Candidate]
    watched: Sequence[Candidate]
    entropy_bits: float
    kl_to_final_bits: float


@dataclass(frozen=True, slots=True)
class Commitment:
    """The first layer from which on the final answer's first token stays so high; None: not even at the end."""

    top1_layer: int
    top3_layer: int
    half_layer: int | None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a part of the network adds to the difference between two tokens' logits."""

    layer: int
    part: str
    logit_difference: float


@dataclass(frozen=True, slots=True)
class LayersAnswer:
    """The answer to a LayersQuery; field meanings are those of the contract."""

    token_count: int
    cached_tokens: int
    context_limit: int
    position: int
    layers: Sequence[Layer]
    commitment: Commitment
    timings: Timings
    contributions: Sequence[Contribution] = ()
    logit_difference: float | None = None
    before_soft_cap: bool = False
    attention: Sequence[Sequence[Sequence[float]]] = ()
    """By block, head and prompt token."""
    prompt_tokens: Sequence[Token] = ()
