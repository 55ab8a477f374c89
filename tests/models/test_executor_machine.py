"""Several clients type, click, undo, edit and leave, in a store that never holds them all: every answer is that of
plain transformers, and what is counted is what is held."""

import random
import sys
from collections.abc import Callable
from collections.abc import Sequence as Items
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from torch import Tensor

from inference_server.kvcache.kv_blocks import KVBlocks
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.runtime.paged_backend import PagedBackend
from inference_server.scheduler.worker import step
from inference_server.sequence import Sequence
from models import architectures

VOCABULARY = 60
CLIENTS = 4
BLOCKS = 9
DISTRIBUTIONS = 12
LONGEST = 45
STEP = 10

clients = st.integers(0, CLIENTS - 1)
tokens = st.integers(0, 5)  # few, so that prompts meet and part


class Clients(RuleBasedStateMachine):
    """A reader, and what each client is looking at."""

    model: Model
    network: Any

    def __init__(self) -> None:
        super().__init__()
        runner = self.model.runner
        assert runner is not None
        runner.tree.clear()
        self.runner = runner
        self.kept: LogitsCache[Any] = LogitsCache(DISTRIBUTIONS * (VOCABULARY * 4 + 200))
        self.reader = Executor("machine", self.model, self.kept, STEP, step_s=60.0)
        assert isinstance(self.reader.backend, PagedBackend)
        self.prefetcher = self.reader.backend.prefetcher
        self.prompts: list[tuple[int, ...]] = [(1,)] * CLIENTS
        self.asked: dict[int, Sequence[Tensor]] = {}

    def teardown(self) -> None:
        for held in self.prefetcher.clear():
            self.runner.close(held)
        assert self.runner.pool.used == self.runner.tree.blocks
        self.runner.tree.clear()
        assert self.runner.pool.used == 0
        assert self.runner.pool.free == BLOCKS

    @rule(client=clients, typed=st.lists(tokens, min_size=1, max_size=LONGEST))
    def types(self, client: int, typed: list[int]) -> None:
        self.turn(client, tuple(typed))

    @rule(client=clients, token=tokens)
    def clicks(self, client: int, token: int) -> None:
        self.turn(client, (*self.prompts[client], token)[-LONGEST:])

    @rule(client=clients, count=st.integers(1, 20))
    def undoes(self, client: int, count: int) -> None:
        self.turn(client, self.prompts[client][:-count] or (1,))

    @rule(client=clients, place=st.integers(0, LONGEST), token=tokens)
    def edits(self, client: int, place: int, token: int) -> None:
        prompt = self.prompts[client]
        place %= len(prompt)
        self.turn(client, (*prompt[:place], token, *prompt[place + 1 :]))

    @rule(client=clients, other=clients)
    def looks_at_the_same(self, client: int, other: int) -> None:
        self.turn(client, self.prompts[other])

    @rule(client=clients)
    def leaves(self, client: int) -> None:
        self.asked.pop(client, None)

    @precondition(lambda self: self.asked)
    @rule(who=st.sets(clients, min_size=1))
    def steps(self, who: set[int]) -> None:
        """Some of what waits is taken further, together."""
        sequences = {client: self.asked[client] for client in sorted(who) if client in self.asked}
        if not sequences:
            return
        step([*sequences.values()])
        for client, sequence in sequences.items():
            if sequence.done:
                same(sequence.outputs[0], plain(self.network, sequence.token_ids))
                del self.asked[client]

    @precondition(lambda self: self.asked)
    @rule(client=clients)
    def is_answered_beside(self, client: int) -> None:
        """If it can be: what follows from it is left to the next step or idle work."""
        sequence = self.asked.get(client)
        if sequence is not None and (answer := self.reader.recall(sequence)) is not None:
            answer()
            same(sequence.outputs[0], plain(self.network, sequence.token_ids))
            del self.asked[client]

    @rule(count=st.integers(1, 20), first=st.integers(0, 5))
    def time_passes(self, count: int, first: int) -> None:
        self.reader.prefetch(lambda _: [*range(first, first + count)])

    @rule()
    def distributions_are_forgotten(self) -> None:
        self.kept = self.reader.cache = LogitsCache(self.kept.limit_bytes)

    @invariant()
    def what_is_counted_is_what_is_held(self) -> None:
        pool, tree = self.runner.pool, self.runner.tree
        plans = [found.handle for found in self.prefetcher._prompts.values() if found is not None]
        assert pool.used == tree.blocks + sum(len(held.alternative_blocks) for held in plans)
        references = pool.total_references
        assert references == tree.blocks + sum(len(held.alternative_blocks) + len(held.blocks) for held in plans)
        assert self.runner.stats.bytes == pool.used * bytes_of_a_block(self.runner.store)
        assert self.kept.used_bytes <= self.kept.limit_bytes
        assert self.kept.used_bytes == sum(
            value.untyped_storage().nbytes() + sys.getsizeof(ids) for (_, ids), value in self.kept._entries.items()
        )

    def turn(self, client: int, prompt: tuple[int, ...]) -> None:
        """A client looks at another prompt; what it asked before is of no use any more."""
        self.prompts[client] = prompt
        self.asked[client] = Sequence(prompt, self.reader, lambda _, rows: [rows[0]])


def bytes_of_a_block(store: KVBlocks) -> int:
    """Of the storage that its layers really took, each piece of it counted once."""
    pieces = [tensor.untyped_storage() for tensor in (*store.keys, *store.values)]
    return sum({piece.data_ptr(): piece.nbytes() for piece in pieces}.values()) // BLOCKS


@cache
def plain(network: Any, ids: tuple[int, ...]) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(torch.tensor([ids])).logits[0, -1]
    return logits.softmax(0)


def same(logits: Tensor, expected: Tensor) -> None:
    assert float((logits.softmax(0) - expected).abs().max()) < 1e-4


@pytest.fixture(scope="module", params=["llama", "mistral_sliding", "gpt2"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> type[Clients]:
    folder: Path = tmp_path_factory.mktemp("machine")
    architectures.build(request.param, VOCABULARY, folder)
    block_bytes = runner_block_bytes(folder)

    class Here(Clients):
        model = Model.load(folder, "cpu", BLOCKS * block_bytes)
        network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()

    return Here


def runner_block_bytes(folder: Path) -> int:
    runner = Model.load(folder, "cpu", 1 << 20).runner
    assert runner is not None
    return runner.store.block_bytes


def test_whatever_clients_do(machine: type[Clients]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("turns", [500, pytest.param(5000, marks=pytest.mark.soak)])
def test_a_long_life_leaks_nothing(machine: type[Clients], turns: int) -> None:
    """The same moves at random; what is held is counted after each."""
    here, draw = machine(), random.Random(3)
    moves: list[Callable[[], Any]] = [
        lambda: here.types(client(), prompt()),
        lambda: here.clicks(client(), token()),
        lambda: here.clicks(client(), token()),
        lambda: here.undoes(client(), draw.randint(1, 20)),
        lambda: here.edits(client(), draw.randint(0, LONGEST), token()),
        lambda: here.looks_at_the_same(client(), client()),
        lambda: here.leaves(client()),
        lambda: here.time_passes(draw.randint(1, 20), token()),
        here.distributions_are_forgotten,
    ]

    def client() -> int:
        return draw.randrange(CLIENTS)

    def token() -> int:
        return draw.randint(0, 5)

    def prompt() -> Items[int]:
        return [token() for _ in range(draw.randint(1, LONGEST))]

    for _ in range(turns):  # a move and a step each
        draw.choice(moves)()
        if here.asked:
            here.steps({client(), client(), client()})
        here.what_is_counted_is_what_is_held()
    here.teardown()
