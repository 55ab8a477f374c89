"""A real-shaped engine for everything above it: real scheduler, real checks of its own making, no model.

Its text is spelled in bytes: token i of 256 is byte i, and the next token is always the one after the last.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference_server import (
    chat_messages,
    compare_messages,
    grow_messages,
    layer_messages,
    messages,
    tokenize_messages,
)
from inference_server.errors import InvalidField
from inference_server.generate_messages import (
    FinishReason,
    GeneratedSoFar,
    GeneratedToken,
    GenerateEvent,
    GenerateFinish,
    GenerateQuery,
    GenerateStart,
)
from inference_server.influence_messages import (
    InfluenceChange,
    InfluenceEnd,
    InfluenceEvent,
    InfluenceQuery,
    InfluenceStart,
    InfluenceUnit,
)
from inference_server.messages import NOBODY, Client
from inference_server.stats import ModelStats

Query = (
    chat_messages.RenderChatQuery
    | messages.TopKQuery
    | messages.ScoreQuery
    | layer_messages.LayersQuery
    | GenerateQuery
    | compare_messages.ComparedQuestion
    | grow_messages.GrowQuery
    | InfluenceQuery
    | tokenize_messages.TokenizeQuery
)

VOCAB_SIZE = 256
CONTEXT_LIMIT = 64


def candidate(token_id: int, rank: int, probability: float) -> messages.Candidate:
    token = messages.Token(token_id, bytes([token_id]), is_special=token_id == 0)
    return messages.Candidate(token, rank, math.log(probability), probability, math.log(probability))


@dataclass
class FakeEngine:
    """Remembers its queries; answers them, raises `failure`, or waits for `gate`, whichever is set.

    A stream that has given `breaks_after` tokens raises `breaking`, or else waits for `gate`.
    """

    facts: messages.ModelFacts = field(
        default_factory=lambda: messages.ModelFacts(
            1234, "cpu", "float32", VOCAB_SIZE, CONTEXT_LIMIT, "FakeForCausalLM", (0, 4), (0,)
        )
    )
    queries: list[Query] = field(default_factory=list)
    deadlines: list[float | None] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    failure: BaseException | None = None
    gate: asyncio.Event | None = None
    finished: int = 0
    breaks_after: int | None = None
    breaking: BaseException | None = None
    closed: int = 0
    """Streams that are over, in whatever way."""

    @property
    def stats(self) -> ModelStats:
        return ModelStats(self.finished, 0, 0, 0, None)

    async def top_k(
        self, query: messages.TopKQuery, deadline: float | None, client: Client = NOBODY
    ) -> messages.TopKAnswer:
        self.clients.append(client)
        started = time.monotonic()
        ids = await self._admit(query, deadline)
        following = [(ids[-1] + step) % VOCAB_SIZE for step in range(1, query.top_k + 1)]
        return messages.TopKAnswer(
            token_count=len(ids),
            cached_tokens=0,
            context_limit=CONTEXT_LIMIT,
            candidates=[candidate(token_id, rank, 2.0**-rank) for rank, token_id in enumerate(following, 1)],
            watched=[candidate(token_id, 7, 2.0**-7) for token_id in query.watch_token_ids],
            drawn=[candidate((ids[-1] + 1) % VOCAB_SIZE, 1, 0.5) for _ in query.draws],
            kept_count=VOCAB_SIZE,
            kept_probability=1.0,
            other_probability=2.0**-query.top_k,
            entropy_bits=2.0,
            vocab_size=VOCAB_SIZE,
            lookahead_hit=False,
            timings=messages.Timings(0.1, 0.2, 0.3, (time.monotonic() - started) * 1000),
            prompt_tokens=[candidate(i, 1, 1.0).token for i in ids] if query.include_prompt_tokens else (),
            partition=[messages.PartitionPoint(1.0, 2.0, 3.0, 4.0)] if query.include_partition else (),
            partition_at_zero=messages.PartitionPoint(0.0, 5.0, 6.0, 7.0) if query.include_partition else None,
        )

    async def score(
        self, query: messages.ScoreQuery, deadline: float | None, client: Client = NOBODY
    ) -> messages.ScoreAnswer:
        self.clients.append(client)
        ids = await self._admit(query, deadline)
        alternatives = [candidate(i, i + 1, 0.5) for i in range(query.top_k)]
        return messages.ScoreAnswer(
            tokens=[
                messages.ScoredToken(candidate(i, 1, 0.5), 1.0, alternatives, unconditioned=at == 0)
                for at, i in enumerate(ids)
            ],
            total_logprob=-0.5,
            perplexity=1.5,
            bits_per_byte=0.25,
            context_limit=CONTEXT_LIMIT,
            timings=messages.Timings(0.1, 0.2, 0.3, 0.6),
        )

    async def render_chat(
        self, query: chat_messages.RenderChatQuery, deadline: float | None, client: Client = NOBODY
    ) -> chat_messages.RenderChatAnswer:
        """Writes the contents one after the other, then a zero for the turn to come."""
        self.clients.append(client)
        await self._admit(query, deadline)
        tokens = [
            chat_messages.ChatToken(candidate(byte, 1, 1.0).token, at, message.role, is_content=True)
            for at, message in enumerate(query.messages)
            for byte in message.content.encode()
        ]
        zero = chat_messages.ChatToken(candidate(0, 1, 1.0).token, None, "", is_content=False)
        text = "".join(message.content for message in query.messages)
        return chat_messages.RenderChatAnswer(
            text, [*tokens, zero], CONTEXT_LIMIT, messages.Timings(0.1, 0.2, 0.0, 0.6)
        )

    async def tokenize(
        self, query: tokenize_messages.TokenizeQuery, deadline: float | None, client: Client = NOBODY
    ) -> tokenize_messages.TokenizeAnswer:
        """Puts a zero in front of a text, unless it is to stay bare."""
        self.clients.append(client)
        await self._admit(query, deadline)
        ids = [*([] if query.bare else [0]), *query.text.encode()] if query.text is not None else query.token_ids or ()
        zero = candidate(0, 1, 1.0).token
        facts = tokenize_messages.TokenizerFacts(zero, None, "{{ messages }}") if query.include_tokenizer else None
        timings = messages.Timings(0.1, 0.2, 0.0, 0.6)
        return tokenize_messages.TokenizeAnswer(
            [candidate(i, 1, 1.0).token for i in ids], CONTEXT_LIMIT, timings, facts
        )

    async def layers(
        self, query: layer_messages.LayersQuery, deadline: float | None, client: Client = NOBODY
    ) -> layer_messages.LayersAnswer:
        self.clients.append(client)
        ids = await self._admit(query, deadline)
        contrasted = bool(query.contrast)
        return layer_messages.LayersAnswer(
            token_count=len(ids),
            cached_tokens=0,
            context_limit=CONTEXT_LIMIT,
            position=len(ids) - 1 if query.position is None else query.position,
            layers=[
                layer_messages.Layer(
                    layer=at,
                    candidates=[candidate(i, i + 1, 2.0 ** -(i + 1)) for i in range(query.top_k)],
                    watched=[candidate(i, 7, 2.0**-7) for i in query.watch_token_ids],
                    entropy_bits=2.0,
                    kl_to_final_bits=math.inf if at == 0 else 1.0 - at,
                )
                for at in range(2)
            ],
            commitment=layer_messages.Commitment(1, 0, None),
            timings=messages.Timings(0.1, 0.2, 0.3, 0.6),
            contributions=[layer_messages.Contribution(1, "mlp", 0.25)] if contrasted else (),
            logit_difference=0.25 if contrasted else None,
            before_soft_cap=contrasted,
            attention=[[[0.25] * 2 + [0.5]] * 2] if query.include_attention else (),
            prompt_tokens=[candidate(i, 1, 1.0).token for i in ids] if query.include_prompt_tokens else (),
        )

    async def generate(
        self, query: GenerateQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[GenerateEvent, None]:
        """Every continuation counts on from the prompt's last byte."""
        self.clients.append(client)
        try:
            ids = await self._admit(query, deadline)
            yield GenerateStart(ids, 7 if query.seed is None else query.seed, CONTEXT_LIMIT)
            so_far = query.resume or [GeneratedSoFar(index) for index in range(query.n)]
            texts = {each.index: list(each.token_ids) for each in so_far}
            given = 0
            for _ in range(max(query.max_tokens - len(text) for text in texts.values())):  # resumed ones may differ
                for index, text in texts.items():
                    if len(text) == query.max_tokens:
                        continue
                    await self._break(given)
                    given += 1
                    following = ((text or ids)[-1] + 1) % VOCAB_SIZE
                    text.append(following)
                    top = [candidate((following + step) % VOCAB_SIZE, step + 1, 0.5) for step in range(query.top_k)]
                    grid = [messages.PartitionPoint(1.0, 2.0, 3.0, 4.0)] if query.include_partition else []
                    yield GeneratedToken(index, candidate(following, 1, 0.5), top, 2.0, 3, 0.75, 0.25, grid, 0.5)
            timings = messages.Timings(0.1, 0.2, 0.3, 0.4)
            for index, text in texts.items():
                words = bytes(text).decode(errors="replace")
                yield GenerateFinish(index, FinishReason.LENGTH, words, len(text), timings)
        finally:
            self.closed += 1

    async def compare(
        self, query: compare_messages.CompareQuery, other: Any, deadline: float | None, client: Client = NOBODY
    ) -> compare_messages.CompareAnswer:
        self.clients.append(client)
        ids_a, ids_b = await self._admit(query.a, deadline), await self._admit(query.b, deadline)
        side_a, side_b = (self._side(ids, query.include_prompt_tokens) for ids in (ids_a, ids_b))
        token = candidate((ids_a[-1] + 1) % VOCAB_SIZE, 1, 0.5).token
        here = compare_messages.ComparedPlace(token.token_id, 1, 0.5, math.log(0.5))
        there = compare_messages.ComparedPlace(token.token_id + 100, 2, 0.0, -math.inf)
        both = compare_messages.ComparedToken(token, here, there)
        return compare_messages.CompareAnswer(
            a=side_a,
            b=side_b,
            kl_a_b_bits=math.inf,
            kl_b_a_bits=1.5,
            js_bits=0.25,
            total_variation=0.125,
            candidates=[both, compare_messages.ComparedToken(token, None, there)][: query.top_k],
            gained=[],
            lost=[both],
            overlap=list(range(query.top_k)),
            unmatched=compare_messages.Unmatched(0.0, 0.75),
            matched_by_bytes=other is not self,
            timings=messages.Timings(0.1, 0.2, 0.3, 0.6),
        )

    async def grow(
        self, query: grow_messages.GrowQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[grow_messages.GrowEvent, None]:
        """A chain that counts on from the prompt's last byte."""
        self.clients.append(client)
        try:
            ids = await self._admit(query, deadline)
            yield grow_messages.GrowStart(ids, CONTEXT_LIMIT)
            for depth in range(1, query.depth + 1):
                await self._break(depth - 1)
                token, end = candidate((ids[-1] + depth) % VOCAB_SIZE, 1, 0.5), depth == query.depth
                yield grow_messages.GrownNode(depth, depth - 1, token, depth * math.log(0.5), depth, end)
                mass = grow_messages.GrownMass(0.5**depth * end, 0.5**depth * (not end), 1 - 0.5**depth)
                if not end:
                    yield mass
            timings = messages.Timings(0.1, 0.2, 0.3, 0.6)
            yield grow_messages.GrowFinish(grow_messages.GrowFinishReason.COMPLETE, query.depth, mass, timings)
        finally:
            self.closed += 1

    async def _break(self, given: int) -> None:
        """Where a stream that has given so many breaks off, or waits."""
        if given == self.breaks_after:
            if self.breaking is not None:
                raise self.breaking
            assert self.gate is not None
            await self.gate.wait()

    def _side(self, ids: list[int], with_tokens: bool) -> compare_messages.ComparedSide:
        tokens = [candidate(i, 1, 1.0).token for i in ids] if with_tokens else ()
        return compare_messages.ComparedSide(
            "bundled", len(ids), 0, CONTEXT_LIMIT, VOCAB_SIZE, 1.0, 2.0, VOCAB_SIZE, tokens
        )

    async def influence(
        self, query: InfluenceQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[InfluenceEvent, None]:
        """Every byte of the prompt is a part; taking out the n-th changes the log-odds by -n."""
        self.clients.append(client)
        try:
            ids = await self._admit(query, deadline)
            units = [
                InfluenceUnit(at, at + 1, "token", chr(i), is_special=i == 0, has_first_token=at == 0)
                for at, i in enumerate(ids)
            ]
            contrast = None if query.contrast is None else candidate(query.contrast, 2, 0.25)
            yield InfluenceStart(len(ids), units, -0.5, candidate(query.target or 0, 1, 0.5), contrast)
            for at in range(len(ids)):
                await self._break(at)
                yield InfluenceChange(at, query.method, -math.inf if at == 9 else -float(at))
            timings = messages.Timings(0.1, 0.2, 0.3, 0.4)
            yield InfluenceEnd(len(ids), True, 0.25 if len(ids) > 2 else None, len(ids) > 2, 7, timings)
        finally:
            self.closed += 1

    async def _admit(self, query: Query, deadline: float | None) -> list[int]:
        self.queries.append(query)
        self.deadlines.append(deadline)
        if self.gate is not None and self.breaks_after is None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if isinstance(query, chat_messages.RenderChatQuery):
            return []
        parts = query.parts if isinstance(query, messages.TopKQuery) else None
        if query.text is None and query.token_ids is None and parts is None:
            raise InvalidField("prompt", "missing")
        self.finished += 1
        if parts is not None:
            return [i for part in parts for i in (part.encode() if isinstance(part, str) else part)]
        return (list(query.text.encode()) if query.text is not None else list(query.token_ids or ())) or [0]


def fetch(name: str, on_progress: object) -> Path:
    """Every model lies in a folder of its name."""
    return Path("/models") / name
