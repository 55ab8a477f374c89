"""Growing a tree of the likeliest continuations of one prompt: what to compute next, and which branches join the tree.

Best first, branches join in descending order of their paths' probability: a tree of n nodes holds the n likeliest
paths. Several branches are computed together: the one whose children must be known, and those that are likely to join
next. As beams, the likeliest ones of each depth join together.
"""

import heapq
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from operator import attrgetter
from typing import Any, Protocol

from inference_server.engine.tree import Branch, Children, Tree
from inference_server.engine.validation import check_depth
from inference_server.errors import ComputeFailed, DeadlineExpired, Stopping
from inference_server.grow_messages import (
    GrowEvent,
    GrowFinish,
    GrowFinishReason,
    GrownNode,
    GrowQuery,
    GrowStart,
)
from inference_server.messages import Candidate, ModelFacts, Timings
from inference_server.sampling.distribution import Distribution
from inference_server.sequence import Ids, Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

ROUNDING = 1e-9  # of summed probabilities

MakeSequence = Callable[[Ids, Callable[[Sequence[Children], Any], list[Children]]], Sequence[Children]]
Run = Callable[..., Awaitable[None]]

in_order = attrgetter("order")


class Grower(Protocol):
    """Decides what is computed and what joins."""

    finish_reason: GrowFinishReason | None
    """Set once nothing more joins."""

    def next(self) -> list[Branch]:
        """The branches whose children are to be computed next."""
        ...

    def limits(self, branch: Branch) -> tuple[int, float]:
        """How many of a branch's children can join at most, and what their log-probability is at least."""
        ...

    def joined(self) -> list[Branch]:
        """Lets branches join as far as is known now that those of `next` are computed."""
        ...


class BestFirst:
    """Any number of branches at each depth, by their paths' probability alone."""

    def __init__(self, query: GrowQuery, tree: Tree, together: int) -> None:
        """At most `together` branches are computed at a time."""
        self.finish_reason: GrowFinishReason | None = None
        self._tree = tree
        self._query = query
        self._together = together
        self._waiting: Branch | None = tree.root  # in the tree; before its children are known, nothing else may join
        self._candidates: list[Branch] = []  # the likeliest ones that may join, in order, as many as there is room for

    def next(self) -> list[Branch]:
        """As Grower.next; those that are not in the tree yet will probably join."""
        upcoming = (each for each in self._candidates[: self._room - 1] if not each.complete and each.children is None)
        waiting = [] if self._waiting is None else [self._waiting]
        return [*waiting, *(each for _, each in zip(range(self._together - 1), upcoming, strict=False))]

    def limits(self, branch: Branch) -> tuple[int, float]:
        """As Grower.limits."""
        return self._room, self._least - branch.path_logprob

    def joined(self) -> list[Branch]:
        """As Grower.joined: the likeliest candidates, until one joins whose own children may be likelier still."""
        joined = []
        while not self._finished():
            if self._waiting is None:
                branch = self._candidates.pop(0)
                self._tree.join(branch)
                joined.append(branch)
                self._waiting = None if branch.complete else branch
            elif self._waiting.children is None:
                break
            else:
                following = self._tree.following(self._waiting, self._room, self._least)
                self._candidates = list(heapq.merge(self._candidates, following, key=in_order))[: self._room]
                self._waiting.children, self._waiting = None, None
        return joined

    @property
    def _room(self) -> int:
        """How many branches may still join."""
        return self._query.max_nodes - self._tree.count

    @property
    def _least(self) -> float:
        """Branches with a lower path log-probability can't join any more."""
        return self._candidates[-1].path_logprob if len(self._candidates) >= self._room else -math.inf

    def _finished(self) -> bool:
        if self._tree.covered >= self._query.coverage - ROUNDING:
            self.finish_reason = GrowFinishReason.COVERAGE
        elif not self._room:
            self.finish_reason = GrowFinishReason.MAX_NODES
        elif self._waiting is None and not self._candidates:
            self.finish_reason = GrowFinishReason.COMPLETE
        return self.finish_reason is not None


class Beams:
    """The `width` likeliest branches of each depth that go on, and those that end the text among as many.

    The scores are those of transformers' beam search with a length penalty of 0.
    """

    def __init__(self, query: GrowQuery, tree: Tree, width: int) -> None:
        self.finish_reason: GrowFinishReason | None = None
        self._tree = tree
        self._query = query
        self._width = width
        self._running = [tree.root]
        self._ended: list[float] = []  # path log-probabilities, the highest first

    def next(self) -> list[Branch]:
        """As Grower.next: all of the deepest ones that go on."""
        return self._running

    def limits(self, branch: Branch) -> tuple[int, float]:
        """As Grower.limits."""
        return self._width + len(self._tree.end_ids), -math.inf

    def joined(self) -> list[Branch]:
        """As Grower.joined: the next depth, unless it would be more than max_nodes in all."""
        children = (self._tree.following(each, *self.limits(each)) for each in self._running)
        level = list(heapq.merge(*children, key=in_order))
        ending = [branch for branch in level[: self._width] if branch.ends]
        going_on = [branch for branch in level if not branch.ends][: self._width]
        joined = sorted((*ending, *going_on), key=in_order)
        if self._tree.count + len(joined) > self._query.max_nodes:
            self.finish_reason = GrowFinishReason.MAX_NODES
            return []
        for branch in self._running:
            branch.children = None
        for branch in joined:
            self._tree.join(branch)
        self._ended = sorted((*self._ended, *(branch.path_logprob for branch in ending)), reverse=True)
        self._running = [branch for branch in going_on if not branch.complete]
        if self._tree.covered >= self._query.coverage - ROUNDING:
            self.finish_reason = GrowFinishReason.COVERAGE
        elif not self._running or self._beaten():
            self.finish_reason = GrowFinishReason.COMPLETE
        return joined

    def _beaten(self) -> bool:
        """Whether no branch that goes on can become one of the best any more."""
        worst = self._ended[self._width - 1] if len(self._ended) >= self._width else -math.inf
        return worst >= self._running[0].path_logprob


class Growth:
    """One call: the tree, what grows it, and the events that tell of it."""

    def __init__(
        self, query: GrowQuery, prompt: Ids, facts: ModelFacts, tokenizer: ModelTokenizer, together: int
    ) -> None:
        """As BestFirst, unless the query has a width. Raises InvalidField for a tree that does not fit the context."""
        check_depth(query.depth, len(prompt), facts.context_limit)
        self._arrived = time.monotonic()
        self._prompt = prompt
        self._tokenizer = tokenizer
        self._start = GrowStart(prompt, facts.context_limit)
        self._tree = Tree(query.depth, frozenset(facts.end_of_text_ids))
        self._grower: Grower = (
            BestFirst(query, self._tree, together) if query.width is None else Beams(query, self._tree, query.width)
        )
        self._vocab_size = facts.vocab_size
        self._queue_s = self._model_s = 0.0

    async def steps(self, sequence: MakeSequence, run: Run, tokenize_s: float) -> AsyncGenerator[list[GrowEvent]]:
        """The events of each step, the start first."""
        yield [self._start]
        while self._grower.finish_reason is None:
            branches = self._grower.next()
            sequences = [sequence(self._prompt + each.path, partial(self._describe, each)) for each in branches]
            try:
                await run(*sequences)
            except (ComputeFailed, DeadlineExpired, Stopping) as error:
                raise type(error)(f"{error}; broken off after {self._tree.count:,} nodes") from error
            self._queue_s += max(each.queue_s for each in sequences)
            self._model_s += max(each.compute_s for each in sequences)
            for branch, computed in zip(branches, sequences, strict=True):
                (branch.children,) = computed.outputs
            yield self._events(tokenize_s)

    def _describe(self, branch: Branch, _: Sequence[Children], rows: Any) -> list[Children]:
        """On the worker thread: the children of a branch that can join."""
        most, least = self._grower.limits(branch)
        return [Children(*Distribution(rows[0], 1.0).likeliest(min(most, self._vocab_size), least))]

    def _events(self, tokenize_s: float) -> list[GrowEvent]:
        events: list[GrowEvent] = [self._node(branch) for branch in self._grower.joined()]
        if self._grower.finish_reason is None:
            return [*events, self._tree.mass]
        spent = (self._queue_s, tokenize_s, self._model_s, time.monotonic() - self._arrived)
        timings = Timings(*(seconds * 1000 for seconds in spent))
        return [*events, GrowFinish(self._grower.finish_reason, self._tree.count, self._tree.mass, timings)]

    def _node(self, branch: Branch) -> GrownNode:
        token = self._tokenizer.token(branch.path[-1], self._prompt + branch.path[:-1])
        candidate = Candidate(token, branch.rank, branch.logit, math.exp(branch.logprob), branch.logprob)
        return GrownNode(
            branch.id or 0, branch.parent_id, candidate, branch.path_logprob, len(branch.path), branch.ends
        )
