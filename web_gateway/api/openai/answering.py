"""Answers questions: each prompt as a stream of pieces, several in turn or together."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from msgspec import UNSET, structs

from web_gateway.api.openai.asking import Ask, naming
from web_gateway.api.openai.pieces import Begun, Growing, Piece, Written, joined, scored
from web_gateway.errors import DeadlineExceeded, InvalidRequest
from web_gateway.generate_messages import GeneratedToken, GenerateFinish, GenerateStart
from web_gateway.inference.call import Call
from web_gateway.inference.client import TIMED_OUT, InferenceClient
from web_gateway.messages import Token

TOGETHER = 4  # prompts of one request that are computed at a time
MAX_ENTRIES = 1_000_000  # log-probabilities in an answer that is not streamed

Told = Begun | Piece
Pieces = AsyncGenerator[Told, None]


@dataclass(frozen=True, slots=True)
class Read:
    """A prompt as far as it had to be read before anything is generated."""

    begun: Begun | None = None
    text: str = ""
    """What is echoed."""
    written: Sequence[Written] | None = None
    """Its tokens, if it was scored."""


async def answering(ask: Ask, first: int, inference: InferenceClient, call: Call, names: Mapping[str, str]) -> Pieces:
    """One prompt's completions, of which `first` is the first one's index."""
    with naming(names):
        ask, prompt = await read(ask, first, inference, call)
        if prompt.begun is not None:
            yield prompt.begun
            for piece in opening(ask, first, prompt):
                yield piece
        if ask.generate is None:
            return
        growing = [Growing(first + index, ask.stops, len(prompt.text)) for index in range(ask.n)]
        async with aclosing(inference.generate(ask.generate, call)) as events:
            async for _, event in events:
                match event:
                    case GenerateStart() if prompt.begun is None:
                        yield Begun(event.model, len(event.token_ids), first)
                        for piece in opening(ask, first, prompt):
                            yield piece
                    case GeneratedToken():
                        if (grown := growing[event.index].add(event)) is not None:
                            yield grown
                    case GenerateFinish():
                        yield growing[event.index].end(event)


async def read(ask: Ask, first: int, inference: InferenceClient, call: Call) -> tuple[Ask, Read]:
    """Asks for the prompt's tokens and numbers where they are wanted; the question is then by the ids found."""
    echoes_ids = ask.echo and not isinstance(ask.prompt, str)
    ids: list[int] | None = None
    begun, tokens, written = None, list[Token](), None
    if ask.bare or (ask.score_top is None and (ask.generate is None or echoes_ids)):
        spelled = await inference.tokenize(ask.tokenize, call)
        tokens, ids = spelled.tokens, [token.token_id for token in spelled.tokens]
        begun = Begun(spelled.model, len(tokens), first)
    if ask.bare and ids is not None and ask.generate is not None:
        ask = replace(ask, generate=structs.replace(ask.generate, text=UNSET, token_ids=ids))
    if ask.score_top is not None:
        answer = await inference.score(ask.score(ids), call)
        tokens = list(answer.tokens)
        begun = Begun(answer.model, len(tokens), first)
        written = await asyncio.to_thread(scored, answer.tokens, ask.prompt if isinstance(ask.prompt, str) else None)
    text = ask.prompt if isinstance(ask.prompt, str) else joined(tokens)
    return ask, Read(begun, text if ask.echo else "", written)


def opening(ask: Ask, first: int, prompt: Read) -> Iterator[Piece]:
    """What each completion begins with; all of it if nothing is generated."""
    if not (ask.echo or prompt.written is not None or ask.generate is None):
        return
    shown = prompt.written or [] if ask.echo else []
    for index in range(first, first + ask.n):
        yield Piece(index, prompt.text, shown, None if ask.generate else "length", prompt=prompt.written)


async def in_turn(sources: Sequence[Pieces]) -> Pieces:
    """One prompt after the other."""
    for source in sources:
        async with aclosing(source) as pieces:
            async for piece in pieces:
                yield piece


async def together(sources: Sequence[Pieces], patience_s: float) -> list[Told]:
    """All of several prompts' pieces, in their order. Each may take so long to begin."""
    free = asyncio.Semaphore(TOGETHER)
    entries = 0

    async def whole(source: Pieces) -> list[Told]:
        nonlocal entries
        told: list[Told] = []
        async with free, aclosing(source) as pieces:
            async for piece in begun_in_time(pieces, patience_s):
                told.append(piece)
                if isinstance(piece, Piece):
                    counted = (*piece.tokens, *(piece.prompt or ()))
                    entries += sum(1 + len(written.top) for written in counted)
                if entries > MAX_ENTRIES:
                    raise InvalidRequest(
                        f"logprobs: the answer would hold more than {MAX_ENTRIES:,} of them; ask for fewer, for shorter"
                        " or fewer prompts, or for a stream",
                        "logprobs",
                    )
        return told

    tasks = [asyncio.create_task(whole(source)) for source in sources]
    try:
        return [piece for told in await asyncio.gather(*tasks) for piece in told]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def begun_in_time(pieces: Pieces, patience_s: float) -> Pieces:
    """The pieces, of which the first comes in time. Raises DeadlineExceeded."""
    try:
        async with asyncio.timeout(patience_s):
            first = await anext(pieces)
    except TimeoutError:
        raise DeadlineExceeded(TIMED_OUT) from None
    yield first
    async for piece in pieces:
        yield piece
