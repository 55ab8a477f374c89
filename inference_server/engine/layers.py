"""How a prediction forms from layer to layer: what is asked of a prompt's trace, and the answer made of it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from inference_server.engine.validation import check_count, check_ids, check_prompt, check_temperature, check_watched
from inference_server.errors import InvalidField
from inference_server.layer_messages import (
    MAX_LAYER_TOP_K,
    Commitment,
    Contribution,
    Layer,
    LayersAnswer,
    LayersQuery,
)
from inference_server.messages import Candidate, ModelFacts, Timings, Token
from inference_server.sampling.distribution import Distribution, RankedToken
from inference_server.sequence import Ids, Trace
from inference_server.sequence import Sequence as Prompt
from inference_server.tokenizer.tokenizer import ModelTokenizer

TOP, HALF = 3, 0.5  # what else counts as committed beside the first place


def check_layers(query: LayersQuery, facts: ModelFacts, max_text_bytes: int) -> None:
    """All of a LayersQuery that can be checked without the tokenizer."""
    check_prompt(query.text, query.token_ids, facts.vocab_size, max_text_bytes)
    check_count("top_k", query.top_k, 1, MAX_LAYER_TOP_K, facts.vocab_size)
    check_temperature(query.temperature)
    check_watched(query.watch_token_ids, facts.vocab_size)
    if len(query.contrast) not in (0, 2):
        raise InvalidField("contrast", f"must be two ids, or none, got {len(query.contrast):,}")
    check_ids("contrast", query.contrast, facts.vocab_size)
    if query.contrast and query.contrast[0] == query.contrast[1]:
        raise InvalidField("contrast", f"must be two different ids, got {query.contrast[0]:,} twice")
    for field, refusal in (
        ("model", facts.layers_refusal),
        ("contrast", facts.contrast_refusal if query.contrast else ""),
        ("include_attention", facts.attention_refusal if query.include_attention else ""),
    ):
        if refusal:
            raise InvalidField(field, refusal)


def up_to(ids: Ids, position: int | None) -> Ids:
    """A prompt's beginning that ends with the position asked for. Raises InvalidField."""
    if position is None:
        return ids
    if not 0 <= position < len(ids):
        raise InvalidField("position", f"must be from 0 to {len(ids) - 1:,}, the prompt's last token, got {position:,}")
    return ids[: position + 1]


class Layers:
    """One prompt's."""

    def __init__(self, query: LayersQuery, ids: Ids, tokenizer: ModelTokenizer, rows: int) -> None:
        """`ids` end with the position asked for; `rows`: the embedding and every block."""
        self._query = query
        self._ids = ids
        self._tokenizer = tokenizer
        contrast = (query.contrast[0], query.contrast[1]) if query.contrast else None
        self.trace = Trace(rows, contrast, query.include_attention)
        self._ranks: list[RankedToken] = []  # of the final answer's first token, layer by layer

    def describe(self, sequence: Prompt[Layer], rows: Any) -> list[Layer]:
        """On the worker thread: the next layers' logits, described."""
        return [self._layer(at, row) for at, row in enumerate(rows, len(sequence.outputs))]

    def answer(self, sequence: Prompt[Layer], whole: Ids, facts: ModelFacts, *, capped: bool) -> LayersAnswer:
        """Of a sequence that is done; `whole` is the prompt with what follows the position."""
        trace = self.trace
        return LayersAnswer(
            token_count=len(whole),
            cached_tokens=sequence.num_reused_tokens,
            context_limit=facts.context_limit,
            position=len(self._ids) - 1,
            layers=sequence.outputs,
            commitment=commitment(self._ranks),
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            contributions=[Contribution(*each) for each in trace.contributions],
            logit_difference=trace.difference if trace.contrast else None,
            before_soft_cap=capped and trace.contrast is not None,
            attention=trace.weights,
            prompt_tokens=self._tokenizer.spell(whole) if self._query.include_prompt_tokens else (),
        )

    def _layer(self, at: int, row: Any) -> Layer:
        last = at == self.trace.rows - 1
        distribution = self._final if last else Distribution(row, self._query.temperature)
        self._ranks += distribution.places([self._winner])
        return Layer(
            layer=at,
            candidates=self._spelled(distribution.top(self._query.top_k)),
            watched=self._spelled(distribution.places(self._query.watch_token_ids)),
            entropy_bits=distribution.entropy_bits,
            kl_to_final_bits=distribution.kl_bits(self._final),
        )

    @cached_property
    def _final(self) -> Distribution:
        return Distribution(self.trace.logits, self._query.temperature)

    @cached_property
    def _winner(self) -> int:
        return self._final.top(1)[0].token_id

    @cached_property
    def _token(self) -> Callable[[int], Token]:
        return self._tokenizer.following(self._ids)

    def _spelled(self, ranked: Sequence[RankedToken]) -> list[Candidate]:
        return [each.candidate(self._token(each.token_id)) for each in ranked]


def commitment(places: Sequence[RankedToken]) -> Commitment:
    """From the places of the final answer's first token, layer by layer."""
    top1 = _stays([each.rank == 1 for each in places])
    top3 = _stays([each.rank <= TOP for each in places])
    return Commitment(top1 or 0, top3 or 0, _stays([each.probability > HALF for each in places]))


def _stays(holds: Sequence[bool]) -> int | None:
    """The first index from which on it holds up to the end; None: not at the end."""
    broken = next((at for at in reversed(range(len(holds))) if not holds[at]), -1)
    return broken + 1 if broken + 1 < len(holds) else None


def check_attention(query: LayersQuery, tokens: int, most: int) -> None:
    """Attention weights within what one answer may hold."""
    if query.include_attention and tokens > most:
        raise InvalidField(
            "include_attention", f"attention is told of at most {most:,} tokens of this model, got {tokens:,}"
        )
