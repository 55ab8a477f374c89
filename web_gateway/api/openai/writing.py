"""Pieces as answers: whole, or chunk by chunk."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Protocol

from msgspec import UNSET, Struct, UnsetType

from web_gateway.api.openai import answers, spelling
from web_gateway.api.openai.answering import Pieces, Told
from web_gateway.api.openai.pieces import Begun, Piece, Written
from web_gateway.api.schemas import render
from web_gateway.errors import ANSWERS
from web_gateway.messages import Problem
from web_gateway.openai_errors import reshaped

STATUS = {code: status for status, code in ANSWERS.values()}
LARGE = 400  # tokens whose candidates are told in a thread


class Counting:
    """What every writer knows: who answers, and how many tokens there were."""

    def __init__(self, request_id: str, kind: str, usage: bool) -> None:
        """`usage`: a stream ends with a chunk of it."""
        self.id = f"{kind}-{request_id}"
        self.created = int(time.time())
        self.model = ""
        self.with_usage = usage
        self._prompt_tokens = self._completion_tokens = 0

    def count(self, told: Told) -> None:
        """Takes note of one more event."""
        if isinstance(told, Begun):
            self.model = told.model
            self._prompt_tokens += told.prompt_tokens
        else:
            self._completion_tokens += told.token_count

    @property
    def usage(self) -> answers.Usage:
        """Of everything so far."""
        prompt, completion = self._prompt_tokens, self._completion_tokens
        return answers.Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)

    @property
    def no_usage(self) -> UnsetType | None:
        """The usage in chunks but the last."""
        return None if self.with_usage else UNSET


class Writer(Protocol):
    """Writes one kind of answer."""

    def whole(self, told: Sequence[Told]) -> Struct: ...
    def chunks(self, told: Told) -> Iterable[Struct]: ...
    def last(self) -> Struct | None: ...


class TextWriter(Counting):
    """Writes /v1/completions."""

    def __init__(
        self, request_id: str, usage: bool, logprobs: int | None, prompt_logprobs: int | None, by_id: bool
    ) -> None:
        super().__init__(request_id, "cmpl", usage)
        self._logprobs, self._prompt_logprobs, self._by_id = logprobs, prompt_logprobs, by_id

    def whole(self, told: Sequence[Told]) -> answers.Completion:
        """All of it."""
        for each in told:
            self.count(each)
        choices = [self._choice(index, pieces) for index, pieces in by_index(told)]
        return self._completion(choices, self.usage)

    def chunks(self, told: Told) -> Iterator[answers.Completion]:
        """The chunks of one event."""
        self.count(told)
        if isinstance(told, Piece):
            yield self._completion([self._choice(told.index, [told])], self.no_usage)

    def last(self) -> answers.Completion | None:
        """The usage, if it was asked for."""
        return self._completion([], self.usage) if self.with_usage else None

    def _completion(
        self, choices: list[answers.TextChoice], usage: answers.Usage | UnsetType | None
    ) -> answers.Completion:
        return answers.Completion(id=self.id, created=self.created, model=self.model, choices=choices, usage=usage)

    def _choice(self, index: int, pieces: Sequence[Piece]) -> answers.TextChoice:
        logprobs = None
        if self._logprobs is not None:
            logprobs = spelling.text_logprobs(tokens_of(pieces), self._logprobs, self._by_id)
        prompt = next((piece.prompt for piece in pieces if piece.prompt is not None), None)
        told = self._prompt_logprobs is not None and prompt is not None
        return answers.TextChoice(
            index=index,
            text="".join(piece.text for piece in pieces),
            logprobs=logprobs,
            finish_reason=pieces[-1].finish_reason,
            prompt_logprobs=spelling.prompt_logprobs(prompt or (), self._prompt_logprobs or 0) if told else UNSET,
        )


class ChatWriter(Counting):
    """Writes /v1/chat/completions."""

    def __init__(self, request_id: str, usage: bool, logprobs: int | None, by_id: bool, n: int) -> None:
        """`logprobs`: how many tokens to tell at each position; None: no log-probabilities."""
        super().__init__(request_id, "chatcmpl", usage)
        self._logprobs, self._by_id, self._n = logprobs, by_id, n

    def whole(self, told: Sequence[Told]) -> answers.ChatCompletion:
        """All of it."""
        for each in told:
            self.count(each)
        choices = [
            answers.ChatChoice(
                index=index,
                message=answers.ChatAnswer(content="".join(piece.text for piece in pieces)),
                logprobs=self._told(pieces),
                finish_reason=pieces[-1].finish_reason or "stop",
            )
            for index, pieces in by_index(told)
        ]
        return answers.ChatCompletion(
            id=self.id, created=self.created, model=self.model, choices=choices, usage=self.usage
        )

    def chunks(self, told: Told) -> Iterator[answers.ChatCompletionChunk]:
        """The chunks of one event: first each completion's role, then its text, then why it ended."""
        self.count(told)
        if isinstance(told, Begun):
            for index in range(self._n):
                yield self._chunk(index, answers.Delta(role="assistant", content=""))
            return
        ended = told.finish_reason is not None
        logprobs = self._told([told]) if told.tokens else None
        if told.text or not ended:
            yield self._chunk(told.index, answers.Delta(content=told.text), logprobs)
            logprobs = None
        if ended:
            yield self._chunk(told.index, answers.Delta(), logprobs, told.finish_reason)

    def last(self) -> answers.ChatCompletionChunk | None:
        """The usage, if it was asked for."""
        return self._completion([], self.usage) if self.with_usage else None

    def _told(self, pieces: Sequence[Piece]) -> answers.ChatLogprobs | None:
        if self._logprobs is None:
            return None
        return answers.ChatLogprobs(content=spelling.chat_logprobs(tokens_of(pieces), self._logprobs, self._by_id))

    def _chunk(
        self,
        index: int,
        delta: answers.Delta,
        logprobs: answers.ChatLogprobs | None = None,
        finish_reason: answers.FinishReason | None = None,
    ) -> answers.ChatCompletionChunk:
        choice = answers.ChunkChoice(index=index, delta=delta, logprobs=logprobs, finish_reason=finish_reason)
        return self._completion([choice], self.no_usage)

    def _completion(
        self, choices: list[answers.ChunkChoice], usage: answers.Usage | UnsetType | None
    ) -> answers.ChatCompletionChunk:
        return answers.ChatCompletionChunk(
            id=self.id, created=self.created, model=self.model, choices=choices, usage=usage
        )


class Data:
    """Chunks as server-sent events without names, ended by `[DONE]`."""

    end = b"data: [DONE]\n\n"

    def event(self, event: Struct) -> bytes:
        """One chunk."""
        return b"data: %s\n\n" % render(event)

    def problem(self, problem: Problem) -> bytes:
        """The error that ends a stream."""
        return self.event(reshaped(problem, STATUS.get(problem.code, 500)))


async def chunked(pieces: Pieces, writer: Writer) -> AsyncGenerator[Struct, None]:
    """The chunks of all events."""
    async with aclosing(pieces) as events:
        async for told in events:
            large = isinstance(told, Piece) and len(told.tokens) > LARGE
            for chunk in await asyncio.to_thread(list, writer.chunks(told)) if large else writer.chunks(told):
                yield chunk
    if (last := writer.last()) is not None:
        yield last


def by_index(told: Iterable[Told]) -> list[tuple[int, list[Piece]]]:
    """Each completion's pieces, in order of its index."""
    pieces: dict[int, list[Piece]] = {}
    for each in told:
        if isinstance(each, Piece):
            pieces.setdefault(each.index, []).append(each)
    return sorted(pieces.items())


def tokens_of(pieces: Sequence[Piece]) -> list[Written]:
    """The tokens of several pieces."""
    return [written for piece in pieces for written in piece.tokens]
