"""Sequences that wait for the worker, in the order of turns. Not thread-safe."""

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Items
from typing import Any, TypeVar

from inference_server.scheduler.schedule import candidates
from inference_server.sequence import Sequence

T = TypeVar("T")
Lines = OrderedDict[Any, Any]
"""Lines by name, in the order of their turns, each of which has lines again; innermost, queues of sequences."""


class TurnQueue:
    """Addresses take turns, then the sessions of each, then a session's streams and its other requests.

    The sequences of one stream go in order of arrival, as do those of a session's other requests together.
    """

    def __init__(self) -> None:
        self._addresses: Lines = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Sequence[Any]]:
        """In the order of their turns: one of each address, then another of each, and so on."""
        return in_order(self._addresses)

    def add(self, sequence: Sequence[Any]) -> None:
        """Adds a sequence behind those of its line that arrived before it."""
        *above, last = path(sequence)
        lines = self._addresses
        for name in above:
            lines = lines.setdefault(name, OrderedDict())
        own = lines.setdefault(last, deque())
        own.insert(next((at for at, other in enumerate(own) if other.arrived > sequence.arrived), len(own)), sequence)
        self._length += 1

    def remove(self, sequence: Sequence[Any]) -> bool:
        """Removes a sequence; says whether it was there."""
        own: Any = self._addresses
        for name in path(sequence):
            own = own.get(name, {})
        if sequence not in own:
            return False
        own.remove(sequence)
        self._length -= 1
        return True

    def take(self, batch_size: int) -> list[Sequence[Any]]:
        """Removes the candidates for the next step. Their addresses go behind the others, as do their sessions in each.

        They keep that turn until the next step even if nothing of theirs waits: unfinished sequences are back by then.
        """
        drop_empty(self._addresses)
        batch = candidates(self, batch_size)
        for sequence in batch:
            self.remove(sequence)
        go_behind(self._addresses, [path(sequence) for sequence in batch])
        return batch


def path(sequence: Sequence[Any]) -> tuple[str, str, int]:
    """Where a sequence waits: its address, its session, and there its stream; 0 for what is no stream."""
    permit = sequence.permit
    return (*permit.client, id(permit) if permit.stream else 0)


def in_order(lines: Any) -> Iterator[Sequence[Any]]:
    """The sequences of a line, or of several that take turns."""
    return in_turn(map(in_order, lines.values())) if isinstance(lines, OrderedDict) else iter(lines)


def drop_empty(lines: Any) -> None:
    """Forgets lines in which nothing waits."""
    if isinstance(lines, OrderedDict):
        for name, line in list(lines.items()):
            drop_empty(line)
            if not line:
                del lines[name]


def in_turn(lines: Iterable[Iterable[T]]) -> Iterator[T]:
    """One of each line, then another of each, and so on."""
    rounds = itertools.zip_longest(*lines)
    return (each for one_of_each in rounds for each in one_of_each if each is not None)


def go_behind(lines: Any, served: Items[Items[Any]]) -> None:
    """Moves the lines served behind the others; if all were served, only the first, so that another leads next."""
    names = list(dict.fromkeys(name for name, *_ in served))
    for name in names if len(names) < len(lines) else names[:1]:
        lines.move_to_end(name)
    for name in names:
        if below := [rest for first, *rest in served if first == name and rest]:
            go_behind(lines[name], below)


class Queue:
    """New sequences and those in progress. Each has its own order of turns, and the two alternate.

    What computes in the background is in progress from the start, so that a new sequence waits for one step at most.
    """

    def __init__(self) -> None:
        self._new = TurnQueue()
        self._begun = TurnQueue()
        self._turn = self._begun  # which goes first if both wait

    def __len__(self) -> int:
        return len(self._new) + len(self._begun)

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return itertools.chain(self._new, self._begun)

    @property
    def new(self) -> int:
        """Sequences without a step so far."""
        return len(self._new)

    @property
    def begun(self) -> int:
        """Sequences in progress."""
        return len(self._begun)

    def add(self, sequence: Sequence[Any]) -> None:
        (self._new if sequence.began is None and not sequence.background else self._begun).add(sequence)

    def remove(self, sequence: Sequence[Any]) -> bool:
        """Removes a sequence; says whether it was there."""
        return self._new.remove(sequence) or self._begun.remove(sequence)

    def take(self, batch_size: int) -> list[Sequence[Any]]:
        """Removes the candidates for the next step; none if nothing waits."""
        line, other = (self._new, self._begun) if self._turn is self._new else (self._begun, self._new)
        line = line if len(line) else other
        if not len(line):
            return []
        self._turn = self._begun if line is self._new else self._new
        return line.take(batch_size)
