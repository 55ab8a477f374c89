"""Generating: the continuations of one prompt, step by step, and where they broke off."""

import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from inference_server.engine.continuation import Continuation
from inference_server.engine.masked import Masked
from inference_server.engine.sampled import told
from inference_server.engine.validation import check_length
from inference_server.errors import ComputeFailed, DeadlineExpired, InvalidField, Stopping
from inference_server.generate_messages import (
    MAX_SEED,
    GeneratedSoFar,
    GeneratedToken,
    GenerateEvent,
    GenerateFinish,
    GenerateQuery,
    GenerateStart,
)
from inference_server.messages import ModelFacts, Timings
from inference_server.sequence import Ids, Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

MakeSequence = Callable[[Ids, Callable[[Sequence[Any], Any], list[Any]]], Sequence[Any]]
Run = Callable[..., Awaitable[None]]


class Generation:
    """All continuations of one call. Each step computes the next token of every one that has not ended."""

    def __init__(
        self,
        query: GenerateQuery,
        prompt: Ids,
        facts: ModelFacts,
        tokenizer: ModelTokenizer,
        masked: Masked | None = None,
    ) -> None:
        """Raises InvalidField for continuations to resume that are too long."""
        self._arrived = time.monotonic()
        seed = secrets.randbelow(MAX_SEED + 1) if query.seed is None else query.seed
        stop_ids = {*(facts.end_of_text_ids if query.stop_token_ids is None else query.stop_token_ids)}
        if masked:  # nothing may follow an end of text
            stop_ids.update(facts.end_of_text_ids)
        so_far = query.resume or [GeneratedSoFar(index) for index in range(query.n)]
        for each in so_far:
            check_length("resume", len(prompt) + max(0, len(each.token_ids) - 1), facts.context_limit)
        continuations = [
            Continuation(each, prompt, query, seed, frozenset(stop_ids), tokenizer, facts.context_limit, text)
            for each, text in zip(so_far, masked.texts if masked else [None] * len(so_far), strict=True)
        ]
        self._beside = masked.beside if masked else None
        self._open = [each for each in continuations if each.finish is None]
        self._ended = [each.finish for each in continuations if each.finish is not None]
        self._start = GenerateStart(prompt, seed, facts.context_limit)
        self._queue_s = self._model_s = 0.0

    async def steps(self, sequence: MakeSequence, run: Run, tokenize_s: float) -> AsyncGenerator[list[GenerateEvent]]:
        """The events of each step, the start first.

        A continuation whose stream broke off behind its last token is told its end at once. An error that ends the
        stream says how many tokens of each continuation were generated before it.
        """
        yield [self._start, *(self._timed(each, tokenize_s) for each in self._ended)]
        while self._open:
            sequences = [sequence(each.ids, each.describe) for each in self._open]
            try:
                if self._beside:
                    await self._beside(self._mask)
                await run(*sequences)
            except (ComputeFailed, DeadlineExpired, Stopping) as error:
                raise type(error)(f"{error}; {self._where()}") from error
            except InvalidField as error:
                raise self._broken_off(error) from error
            self._queue_s += max(each.queue_s for each in sequences)
            self._model_s += max(each.compute_s for each in sequences)
            try:
                tokens = [told(each.outputs[0]) for each in sequences]
            except InvalidField as error:
                raise self._broken_off(error) from error
            yield self._take(tokens, tokenize_s)

    def _mask(self) -> None:
        for each in self._open:
            each.mask()

    def _take(self, tokens: list[GeneratedToken], tokenize_s: float) -> list[GenerateEvent]:
        """The events of one step's tokens; those of `_open`, in order."""
        events: list[GenerateEvent] = []
        still_open = []
        for continuation, token in zip(self._open, tokens, strict=True):
            events.append(token)
            finish = continuation.add(token.token.token)
            if finish is None:
                still_open.append(continuation)
            else:
                events.append(self._timed(finish, tokenize_s))
        self._open = still_open
        return events

    def _timed(self, finish: GenerateFinish, tokenize_s: float) -> GenerateFinish:
        spent = (self._queue_s, tokenize_s, self._model_s, time.monotonic() - self._arrived)
        return replace(finish, timings=Timings(*(seconds * 1000 for seconds in spent)))

    def _broken_off(self, error: InvalidField) -> InvalidField:
        return InvalidField(error.field, f"{error.fault}; {self._where()}")

    def _where(self) -> str:
        """Where the open continuations are, for the message of an error."""
        counts = ", ".join(f"{each.index} after {each.count:,} tokens" for each in self._open)
        return f"broken off: continuation {counts}. Go on with the prompt's ids, the seed and `resume`."
