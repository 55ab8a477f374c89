"""Trees of real engines: brute force on a small vocabulary, one-pass scores, transformers' beams, one pass for
siblings, callers who leave; true on every architecture."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
import torch
from workers import until

from inference_server.attention.batch import Segment
from inference_server.engine.engine import Engine
from inference_server.errors import DeadlineExpired, InvalidField
from inference_server.grow_messages import GrowFinish, GrowFinishReason, GrownNode, GrowQuery, GrowStart
from inference_server.messages import ScoreQuery
from models.architectures import ARCHITECTURES
from models.conftest import Cell

MakeCell = Callable[[str, str], Cell]
Ids = tuple[int, ...]
LOGPROB = 1e-4
IDS = (7, 30, 8, 120)


async def grown(engine: Engine, **fields: Any) -> tuple[dict[Ids, GrownNode], GrowFinish]:
    """All nodes of a tree by path, and how it ended."""
    paths: dict[int, Ids] = {0: ()}
    nodes: dict[Ids, GrownNode] = {}
    async for event in engine.grow(GrowQuery(**{"token_ids": IDS} | fields), time.monotonic() + 100):
        if isinstance(event, GrownNode):
            paths[event.id] = (*paths[event.parent], event.token.token.token_id)
            nodes[paths[event.id]] = event
    assert isinstance(event, GrowFinish)
    mass = event.mass
    assert mass.covered + mass.open + mass.pruned == pytest.approx(1, abs=1e-6)
    assert event.node_count == len(nodes)
    return nodes, event


def plain_rows(at: Cell, prompts: Sequence[Ids]) -> torch.Tensor:
    """The float64 log-probabilities after prompts of one length."""
    with torch.inference_mode():
        logits: torch.Tensor = at.network(input_ids=torch.tensor(prompts)).logits[:, -1].double()
    return logits.log_softmax(-1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
async def test_every_path_has_the_logprob_of_one_pass(cell: MakeCell, architecture: str) -> None:
    at = cell(architecture, "byte_bpe")
    nodes, finish = await grown(at.engine, depth=3, max_nodes=30)
    assert finish.finish_reason is GrowFinishReason.MAX_NODES
    assert [node.path_logprob for node in nodes.values()] == sorted(
        (n.path_logprob for n in nodes.values()), reverse=True
    )
    for path in [path for path in nodes if not any(other[:-1] == path for other in nodes)][:6]:
        score = await at.engine.score(ScoreQuery(token_ids=IDS + path), None)
        logprobs = [token.candidate.logprob for token in score.tokens[len(IDS) :]]
        assert nodes[path].path_logprob == pytest.approx(sum(logprobs), abs=LOGPROB)
        assert nodes[path].token.rank == score.tokens[-1].candidate.rank
        plain = at.plain(IDS + path[:-1])[-1].double().log_softmax(0)[path[-1]]
        assert nodes[path].token.logprob == pytest.approx(float(plain), abs=LOGPROB)


async def test_at_depth_three_it_is_brute_force(cell: MakeCell) -> None:
    """The 2,000 likeliest paths of a vocabulary, found by computing all that could be among them."""
    at = cell("llama", "wordpiece")
    nodes, _ = await grown(at.engine, depth=3, max_nodes=2000)
    least = min(node.path_logprob for node in nodes.values()) - 1.0
    expected: dict[Ids, float] = {}
    level: dict[Ids, float] = {(): 0.0}
    for _ in range(3):
        below: dict[Ids, float] = {}
        for some in batches([*level], 64):
            rows = plain_rows(at, [IDS + path for path in some])
            for path, row in zip(some, rows, strict=True):
                total = row + level[path]
                likely = (total > least).nonzero()[:, 0].tolist()
                below |= {(*path, token): float(total[token]) for token in likely}
        expected |= below
        level = {path: logprob for path, logprob in below.items() if path[-1] not in at.engine.facts.end_of_text_ids}
    best = sorted(expected, key=lambda path: -expected[path])[:2000]
    edge = expected[best[-1]]
    for path in set(best) ^ nodes.keys():  # only where two are as good as equal
        assert expected[path] == pytest.approx(edge, abs=LOGPROB)
    assert all(node.path_logprob == pytest.approx(expected[path], abs=LOGPROB) for path, node in nodes.items())


def batches(items: list[Ids], size: int) -> list[list[Ids]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


@pytest.mark.parametrize("width", [1, 3, 8])
async def test_beams_have_the_scores_of_transformers(cell: MakeCell, width: int) -> None:
    at = cell("llama", "tiktoken")
    (end,) = at.engine.facts.end_of_text_ids
    depth = 6
    nodes, finish = await grown(at.engine, depth=depth, width=width, max_nodes=2000)
    assert finish.finish_reason is GrowFinishReason.COMPLETE
    found = at.network.generate(
        torch.tensor([IDS]),
        attention_mask=torch.ones(1, len(IDS), dtype=torch.long),
        num_beams=width,
        num_return_sequences=width,
        max_new_tokens=depth,
        length_penalty=0.0,
        early_stopping=False,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        output_scores=True,
        return_dict_in_generate=True,
    )
    sequences = found.sequences[:, len(IDS) :].tolist()
    theirs = {ends_at(tuple(ids), end): score for ids, score in zip(sequences, scores_of(found, at), strict=True)}
    complete = {path: node.path_logprob for path, node in nodes.items() if node.is_end or len(path) == depth}
    best = dict(sorted(complete.items(), key=lambda item: -item[1])[:width])
    assert best == pytest.approx(theirs, abs=LOGPROB)


def ends_at(path: Ids, end: int) -> Ids:
    """A path without the padding after its end."""
    return path[: path.index(end) + 1] if end in path else path


def scores_of(found: Any, at: Cell) -> list[float]:
    """Their scores; without beams, there are none to return: the sum of what was chosen."""
    if getattr(found, "sequences_scores", None) is not None:
        return list(map(float, found.sequences_scores))
    (ids,) = found.sequences.tolist()
    rows = at.plain(ids).double().log_softmax(-1)
    return [float(sum(rows[i - 1, ids[i]] for i in range(len(IDS), len(ids))))]


async def test_siblings_share_a_pass_and_their_prefix(cell: MakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
    at = cell("gpt2", "byte_bpe")
    at.forget()
    runner, passes = at.engine.executor.model.runner, list[list[Segment]]()
    assert runner is not None
    compute = runner.run

    def counting(segments: list[Segment], *more: Any) -> Any:
        passes.append([*segments])
        return compute(segments, *more)

    monkeypatch.setattr(runner, "run", counting)
    nodes, _ = await grown(at.engine, depth=2, max_nodes=120)
    assert [len(segment.token_ids) for segment in passes[0]] == [len(IDS)]
    later = [[len(segment.token_ids) for segment in each] for each in passes[1:]]
    assert all(set(lengths) == {1} for lengths in later)  # what they share is computed once
    assert max(map(len, later)) == 16
    parents = {path[:-1] for path in nodes if len(path) == 2}
    assert len(passes) <= 2 + len(parents) / 8
    before = len(at.engine.executor.cache)
    await grown(at.engine, depth=2, max_nodes=200)
    assert len(at.engine.executor.cache) == before  # their logits displace nothing


async def test_a_caller_who_leaves_ends_it_within_a_step(cell: MakeCell) -> None:
    at = cell("gpt2", "byte_bpe")
    at.forget()
    stream = at.engine.grow(GrowQuery(token_ids=IDS, depth=8, max_nodes=2000), None)
    async with aclosing(stream):
        assert isinstance(await anext(stream), GrowStart)
        for _ in range(5):
            await anext(stream)
    computed = at.engine.stats.computed_tokens
    await until(lambda: at.scheduler.in_flight == 0)  # the step that computes is not cut short
    assert at.engine.stats.computed_tokens <= computed + 16
    asked = asyncio.ensure_future(grown(at.engine, depth=8, max_nodes=2000))
    await asyncio.sleep(0.05)
    asked.cancel()
    await asyncio.wait((asked,))
    computed = at.engine.stats.computed_tokens
    await until(lambda: at.scheduler.in_flight == 0)
    assert at.engine.stats.computed_tokens <= computed + 16


async def test_a_deadline_says_how_far_it_came(cell: MakeCell) -> None:
    at = cell("gpt2", "byte_bpe")
    with pytest.raises(DeadlineExpired, match=r"broken off after [\d,]+ nodes"):
        async for _ in at.engine.grow(
            GrowQuery(token_ids=(9, 9, 4), depth=50, max_nodes=2000), time.monotonic() + 0.05
        ):
            pass


async def test_it_may_fill_the_context_and_no_more(cell: MakeCell) -> None:
    at = cell("gpt2", "byte_bpe")
    assert at.engine.facts.context_limit == 64
    nodes, _ = await grown(at.engine, token_ids=(5,) * 62, depth=3, width=2)
    assert max(map(len, nodes)) == 3
    with pytest.raises(InvalidField, match=r"^depth: must be from 1 to 3 after a prompt of 62 tokens"):
        await grown(at.engine, token_ids=(5,) * 62, depth=4)


async def test_it_ends_with_the_text(cell: MakeCell) -> None:
    at = cell("llama", "tiktoken")
    (end,) = at.engine.facts.end_of_text_ids
    nodes, finish = await grown(at.engine, depth=2, max_nodes=2000)
    ended = [path for path, node in nodes.items() if node.is_end]
    assert all(path[-1] == end for path in ended)
    assert not any(path[:-1] in ended for path in nodes)
    whole = [node for path, node in nodes.items() if len(path) == 2 or path in ended]
    assert finish.mass.covered == pytest.approx(sum(math.exp(node.path_logprob) for node in whole), abs=1e-9)
