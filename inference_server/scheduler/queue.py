"""Sequences that wait for the worker, in the order of turns. Not thread-safe."""

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from inference_server.scheduler.schedule import candidates
from inference_server.sequence import Sequence

T = TypeVar("T")


class TurnQueue:
    """Addresses take turns, then the sessions of each; the sequences of one session go in order of arrival."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, OrderedDict[str, deque[Sequence[Any]]]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(own) for sessions in self._addresses.values() for own in sessions.values())

    def __iter__(self) -> Iterator[Sequence[Any]]:
        """In the order of their turns: one of each address, then another of each, and so on."""
        return in_turn(in_turn(sessions.values()) for sessions in self._addresses.values())

    def add(self, sequence: Sequence[Any]) -> None:
        """Adds a sequence behind those of its session that arrived before it."""
        address, session = sequence.permit.client
        own = self._addresses.setdefault(address, OrderedDict()).setdefault(session, deque())
        own.insert(next((at for at, other in enumerate(own) if other.arrived > sequence.arrived), len(own)), sequence)

    def remove(self, sequence: Sequence[Any]) -> bool:
        """Removes a sequence; says whether it was there."""
        address, session = sequence.permit.client
        own = self._addresses.get(address, OrderedDict()).get(session, deque())
        if sequence not in own:
            return False
        own.remove(sequence)
        return True

    def take(self, batch_size: int) -> list[Sequence[Any]]:
        """Removes the candidates for the next step. Their addresses go behind the others, as do their sessions in each.

        Both keep that turn until the next step even if nothing of theirs waits: unfinished sequences are back by then.
        """
        self._drop_empty()
        batch = candidates(self, batch_size)
        for sequence in batch:
            self.remove(sequence)
        clients = [sequence.permit.client for sequence in batch]
        go_behind(self._addresses, [address for address, _ in clients])
        for address in {address for address, _ in clients}:
            go_behind(self._addresses[address], [client.session for client in clients if client.address == address])
        return batch

    def _drop_empty(self) -> None:
        for address, sessions in list(self._addresses.items()):
            for session in [session for session, own in sessions.items() if not own]:
                del sessions[session]
            if not sessions:
                del self._addresses[address]


def in_turn(lines: Iterable[Iterable[T]]) -> Iterator[T]:
    """One of each line, then another of each, and so on."""
    rounds = itertools.zip_longest(*lines)
    return (each for one_of_each in rounds for each in one_of_each if each is not None)


def go_behind(order: OrderedDict[str, Any], served: Iterable[str]) -> None:
    """Moves the ones served behind the others; if all were served, only the first, so that another leads next."""
    names = list(dict.fromkeys(served))
    for name in names if len(names) < len(order) else names[:1]:
        order.move_to_end(name)


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
