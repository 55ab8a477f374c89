"""Completions piece by piece: text that can't change any more, and the tokens that wrote it.

Both the streamed and the whole answers are made of these.
"""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field

from web_gateway.api.openai.answers import FinishReason
from web_gateway.generate_messages import GeneratedToken, GenerateFinish
from web_gateway.messages import Candidate, ScoredToken, Token


@dataclass(frozen=True, slots=True)
class Placed:
    """A token and its log-probability at temperature 1."""

    token: Token
    logprob: float
    rank: int


@dataclass(slots=True)
class Written:
    """A token of the text, and the most likely ones at its position."""

    own: Placed
    top: Sequence[Placed]
    offset: int = 0
    """Characters of the text in front of it."""
    conditioned: bool = True
    """Whether a token precedes it."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A prompt that is being answered."""

    model: str
    prompt_tokens: int
    first: int
    """The index of its first completion."""


@dataclass(frozen=True, slots=True)
class Piece:
    """More of one completion. The one with a reason to finish is its last."""

    index: int
    text: str
    tokens: Sequence[Written]
    finish_reason: FinishReason | None = None
    token_count: int = 0
    """Of the whole completion, once it is finished."""
    prompt: Sequence[Written] | None = None
    """The prompt's tokens, in the first piece, if its log-probabilities were asked for."""


@dataclass(slots=True)
class Growing:
    """One completion's text. Holds back what may still change: a part of a character, the beginning of a stop text."""

    index: int
    stops: Sequence[str]
    base: int = 0
    """Characters of the echoed prompt in front of it."""
    _written: int = 0
    """Characters given so far."""
    _held: str = ""
    _tokens: list[tuple[Written, int]] = field(default_factory=list)
    """Those not given yet, each with the characters up to its end."""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )

    def add(self, event: GeneratedToken) -> Piece | None:
        """The next token; returns the tokens that no later one can change, if any of them wrote something."""
        token = event.token
        written = Written(
            generated(token, event.log_sum_exp), [generated(each, event.log_sum_exp) for each in event.candidates]
        )
        written.offset = self.base + self._written + len(self._held)
        self._held += "" if token.is_special else self._decoder.decode(token.bytes)
        partial = bool(self._decoder.getstate()[0])
        self._tokens.append((written, self._written + len(self._held) + partial))
        safe = self._written + self._safe()
        ready = 0
        while ready < len(self._tokens) and self._tokens[ready][1] <= safe:
            ready += 1
        end = self._tokens[ready - 1][1] if ready else self._written
        return self._take(ready, end) if end > self._written else None

    def end(self, event: GenerateFinish) -> Piece:
        """What is left, up to the stop text."""
        text = event.text[self._written :]
        tokens = [written for written, _ in self._tokens]
        reason: FinishReason = "length" if event.finish_reason == "length" else "stop"
        return Piece(self.index, text, tokens, reason, event.token_count)

    def _take(self, count: int, end: int) -> Piece:
        size = end - self._written
        text, self._held = self._held[:size], self._held[size:]
        tokens, self._tokens = [written for written, _ in self._tokens[:count]], self._tokens[count:]
        self._written = end
        return Piece(self.index, text, tokens)

    def _safe(self) -> int:
        """How many of the held characters neither are nor may become part of a stop text."""
        held = self._held
        safe = len(held)
        for stop in self.stops:
            found = held.find(stop)
            if found >= 0:
                safe = min(safe, found)
            for size in range(min(len(stop) - 1, len(held)), 0, -1):
                if held.endswith(stop[:size]):
                    safe = min(safe, len(held) - size)
                    break
        return safe


def generated(candidate: Candidate, log_sum_exp: float) -> Placed:
    """A candidate at temperature 1, whatever the temperature it was drawn at."""
    logprob = float("-inf") if candidate.logit is None else candidate.logit - log_sum_exp
    return Placed(candidate, logprob, candidate.rank)


def scored(tokens: Sequence[ScoredToken], text: str | None) -> list[Written]:
    """A prompt's tokens. Nothing of the prompt precedes the first one, so it has no log-probability here.

    `text`: the prompt, if it was given as text; special tokens that the tokenizer put in front are not in it.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    told, offset = [], 0
    for at, token in enumerate(tokens):
        conditioned = at > 0 and not token.unconditioned
        own = Placed(token, float("-inf") if token.logprob is None else token.logprob, token.rank or 0)
        top = [
            Placed(each, float("-inf") if each.logprob is None else each.logprob, each.rank)
            for each in token.alternatives
        ]
        told.append(Written(own, top, offset, conditioned))
        if not token.is_special or text is None:
            offset += len(decoder.decode(token.bytes))
        elif token.text and text.startswith(token.text, offset):
            offset += len(token.text)
    return told


def joined(tokens: Sequence[Token]) -> str:
    """Tokens as text, names of special tokens included."""
    return b"".join(token.bytes for token in tokens).decode(errors="replace")
