"""What grows, without a model: over every small tree the likeliest paths by brute force, in their order; and beams."""

import asyncio
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from workers import FakeExecutor

from inference_server.engine.grow import Growth
from inference_server.errors import ComputeFailed
from inference_server.grow_messages import GrowFinish, GrowFinishReason, GrownMass, GrownNode, GrowQuery, GrowStart
from inference_server.messages import ModelFacts
from inference_server.models import bundled
from inference_server.sequence import Ids, Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

V, END = 7, 6
PROMPT = (3, 1)
FACTS = ModelFacts(1, "cpu", "float32", V, 64, "Any", (END,))

Paths = dict[Ids, float]


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


def logits(ids: Ids) -> torch.Tensor:
    """Of no model, but always the same after the same ids."""
    chance = torch.Generator().manual_seed(hash(ids) % 2**31)
    return torch.randn(V, generator=chance) * 2


def every_path(depth: int, end: int | None = END) -> Paths:
    """The log-probability of every path up to a depth; none goes on behind the end of a text."""
    found: Paths = {}
    level: Paths = {(): 0.0}
    for _ in range(depth):
        below: Paths = {}
        for path, logprob in level.items():
            row = logits(PROMPT + path).double().log_softmax(0).tolist()
            below |= {(*path, token): logprob + row[token] for token in range(V)}
        found |= below
        level = {path: logprob for path, logprob in below.items() if path[-1] != end}
    return found


class Grown:
    """All events of one growth, and how much was computed together."""

    def __init__(
        self, query: GrowQuery, tokenizer: ModelTokenizer, facts: ModelFacts = FACTS, together: int = 4
    ) -> None:
        self.growth = Growth(query, PROMPT, facts, tokenizer, together)
        self.batches: list[int] = []
        self.computed: list[Ids] = []
        self.events = asyncio.run(self._run())
        nodes = [event for event in self.events if isinstance(event, GrownNode)]
        self.paths: dict[int, Ids] = {0: ()}
        for node in nodes:
            self.paths[node.id] = (*self.paths[node.parent], node.token.token.token_id)
        self.nodes = {self.paths[node.id]: node for node in nodes}
        self.finish = self.events[-1]

    def sequence(self, ids: Ids, describe: Callable[..., Any]) -> Sequence[Any]:
        return Sequence(ids, FakeExecutor("any", list), describe)

    async def run(self, *sequences: Sequence[Any]) -> None:
        self.batches.append(len(sequences))
        for sequence in sequences:
            self.computed.append(sequence.token_ids)
            sequence.receive(logits(sequence.token_ids)[None])

    async def _run(self) -> list[Any]:
        return [event async for step in self.growth.steps(self.sequence, self.run, 0.5) for event in step]


@pytest.mark.parametrize("together", [1, 4, 50])
@pytest.mark.parametrize("max_nodes", [1, 5, 60, 301])
def test_the_likeliest_paths_join_in_their_order(tokenizer: ModelTokenizer, max_nodes: int, together: int) -> None:
    grown = Grown(GrowQuery(depth=3, max_nodes=max_nodes), tokenizer, together=together)
    expected = every_path(3)
    best = sorted(expected, key=lambda path: -expected[path])[:max_nodes]
    assert list(grown.nodes) == best
    assert [node.path_logprob for node in grown.nodes.values()] == pytest.approx([expected[path] for path in best])
    assert [node.id for node in grown.nodes.values()] == list(range(1, len(best) + 1))
    assert all(node.depth == len(path) for path, node in grown.nodes.items())
    assert all(node.is_end == (path[-1] == END) for path, node in grown.nodes.items())
    assert max(grown.batches) <= together
    assert len(grown.computed) == len(set(grown.computed))
    assert isinstance(grown.finish, GrowFinish)
    assert grown.finish.node_count == max_nodes
    whole = len(expected) == max_nodes
    assert (grown.finish.mass.covered == pytest.approx(1)) == whole
    assert whole or grown.finish.finish_reason is GrowFinishReason.MAX_NODES


def test_it_stands_by_itself_when_everything_is_in_it(tokenizer: ModelTokenizer) -> None:
    grown = Grown(GrowQuery(depth=3, max_nodes=2000), tokenizer)
    assert len(grown.nodes) == len(every_path(3)) == 7 + 6 * 7 + 36 * 7
    assert grown.finish.finish_reason in (GrowFinishReason.COMPLETE, GrowFinishReason.COVERAGE)
    mass: GrownMass = grown.finish.mass
    assert (mass.covered, mass.open, mass.pruned) == pytest.approx((1, 0, 0), abs=1e-9)


@pytest.mark.parametrize("coverage", [0.2, 0.5, 0.9])
def test_it_ends_once_it_covers_as_much_as_asked(tokenizer: ModelTokenizer, coverage: float) -> None:
    grown = Grown(GrowQuery(depth=2, coverage=coverage, max_nodes=2000), tokenizer)
    whole = [node for path, node in grown.nodes.items() if len(path) == 2 or path[-1] == END]
    covered = [math.exp(node.path_logprob) for node in whole]
    assert grown.finish.finish_reason is GrowFinishReason.COVERAGE
    assert sum(covered) >= coverage > sum(covered[:-1])
    assert grown.finish.mass.covered == pytest.approx(sum(covered))


@pytest.mark.parametrize("query", [GrowQuery(depth=4, max_nodes=300), GrowQuery(depth=6, width=3)])
def test_the_mass_is_that_of_the_tree_at_every_step(tokenizer: ModelTokenizer, query: GrowQuery) -> None:
    grown, seen = Grown(query, tokenizer), dict[int, GrownNode]()
    told = 0
    for event in grown.events:
        if isinstance(event, GrownNode):
            assert event.parent in {0, *seen}
            seen[event.id] = event
            continue
        if isinstance(event, GrowStart):
            continue
        mass = event.mass if isinstance(event, GrowFinish) else event
        parents = {node.parent for node in seen.values()}
        leaves = [node for node in seen.values() if node.id not in parents]
        complete = [math.exp(node.path_logprob) for node in leaves if node.is_end or node.depth == query.depth]
        incomplete = [math.exp(node.path_logprob) for node in leaves if not node.is_end and node.depth < query.depth]
        assert mass.covered == pytest.approx(sum(complete), abs=1e-9)
        assert mass.open == pytest.approx(sum(incomplete) if seen else 1.0, abs=1e-9)
        assert mass.covered + mass.open + mass.pruned == pytest.approx(1, abs=1e-9)
        told += 1
    assert told > 2


def test_tokens_are_spelled_and_described_as_after_their_path(tokenizer: ModelTokenizer) -> None:
    grown = Grown(GrowQuery(depth=2, max_nodes=20), tokenizer)
    for path, node in grown.nodes.items():
        row = logits(PROMPT + path[:-1])
        assert node.token.token == tokenizer.token(path[-1], PROMPT + path[:-1])
        assert node.token.rank == 1 + int((row > row[path[-1]]).sum())
        assert node.token.logit == pytest.approx(float(row[path[-1]]))
        assert node.token.probability == pytest.approx(float(row.softmax(0)[path[-1]]))
    assert grown.events[0] == GrowStart(PROMPT, 64)
    assert grown.finish.timings.tokenize_ms == 500


def beams(width: int, depth: int) -> list[Paths]:
    """Each depth's paths, by the book."""
    levels, running = list[Paths](), list[Ids]([()])
    expected = every_path(depth)
    for _ in range(depth):
        among = sorted(((*path, token) for path in running for token in range(V)), key=lambda path: -expected[path])
        running = [path for path in among if path[-1] != END][:width]
        ended = [path for path in among[:width] if path[-1] == END]
        levels.append({path: expected[path] for path in (*running, *ended)})
    return levels


@pytest.mark.parametrize("width", [1, 2, 5])
def test_beams_keep_the_best_of_each_depth(tokenizer: ModelTokenizer, width: int) -> None:
    grown = Grown(GrowQuery(depth=5, width=width), tokenizer)
    levels = beams(width, 5)
    reached = max(len(path) for path in grown.nodes)
    for depth in range(1, reached + 1):
        at = {path: node.path_logprob for path, node in grown.nodes.items() if len(path) == depth}
        assert at == pytest.approx(levels[depth - 1])
        assert list(at.values()) == sorted(at.values(), reverse=True)
    assert max(grown.batches) <= width
    assert grown.finish.finish_reason is GrowFinishReason.COMPLETE
    ended = sorted((node.path_logprob for node in grown.nodes.values() if node.is_end), reverse=True)[:width]
    if reached < 5:  # what went on could not become better any more
        assert len(ended) == width
        assert ended[-1] >= max(node.path_logprob for path, node in grown.nodes.items() if len(path) == reached)


def test_beams_never_show_part_of_a_depth(tokenizer: ModelTokenizer) -> None:
    whole = Grown(GrowQuery(depth=5, width=3), tokenizer)
    counts = [sum(len(path) <= depth for path in whole.nodes) for depth in range(6)]
    cut = Grown(GrowQuery(depth=5, width=3, max_nodes=counts[2] + 1), tokenizer)
    assert list(cut.nodes) == list(whole.nodes)[: counts[2]]
    assert cut.finish.finish_reason is GrowFinishReason.MAX_NODES


def test_what_can_t_come_is_not_in_it(tokenizer: ModelTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    row = torch.tensor([1.0, 0.0, *[-math.inf] * (V - 2)])
    monkeypatch.setattr(f"{__name__}.logits", lambda ids: row)
    grown = Grown(GrowQuery(depth=3), tokenizer)
    assert set(grown.nodes) == {path for n in (1, 2, 3) for path in itertools.product((0, 1), repeat=n)}
    assert grown.finish.mass.covered == pytest.approx(1)


def test_an_error_says_how_far_it_came(tokenizer: ModelTokenizer) -> None:
    class Failing(Grown):
        async def run(self, *sequences: Sequence[Any]) -> None:
            if len(self.batches) == 3:
                raise ComputeFailed("the model failed")
            await super().run(*sequences)

    with pytest.raises(ComputeFailed, match=r"the model failed; broken off after \d+ nodes"):
        Failing(GrowQuery(depth=3), tokenizer)


def test_any_shape_of_tree_is_grown_whole(tokenizer: ModelTokenizer) -> None:
    """Whatever is computed together and wherever it ends, the paths are the likeliest."""
    chance = random.Random(3)
    for _ in range(20):
        query = GrowQuery(depth=chance.randint(1, 4), max_nodes=chance.randint(1, 120), coverage=chance.random() + 0.01)
        grown = Grown(query, tokenizer, together=chance.randint(1, 16))
        expected = every_path(query.depth)
        assert list(grown.nodes) == sorted(expected, key=lambda path: -expected[path])[: len(grown.nodes)]
