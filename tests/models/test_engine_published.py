"""Generate, Grow and Compare on SmolLM2-135M-Instruct as published, against plain transformers on the same files."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
import torch
import transformers
from published import MODEL, folder
from torch import Tensor

from inference_server.attention.batch import Segment
from inference_server.compare_messages import ComparedQuestion, CompareQuery
from inference_server.engine import engine
from inference_server.generate_messages import GeneratedSoFar, GeneratedToken, GenerateQuery
from inference_server.grow_messages import GrownNode, GrowQuery
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import ScoreQuery
from inference_server.sampling.counter_rng import uniform
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

Ids = tuple[int, ...]
LOGPROB = 1e-4
BITS = 1e-5
BOUNDARY = 1e-5  # by how much a cumulated probability may differ between batches: what docs/api.md says of draws
MANY, TOKENS, DEPTH = 16, 8, 5
SEED, TOP_P = 2, 0.7


class Real:
    """Our engine, and plain transformers in float32."""

    def __init__(self, scheduler: Scheduler) -> None:
        files = folder(MODEL)
        settings = Settings(device="cpu", lookahead=0)
        self.engine = engine.load(MODEL, files, scheduler, LogitsCache(1 << 27), 1 << 28, settings)
        self.network: Any = transformers.AutoModelForCausalLM.from_pretrained(files, dtype=torch.float32).eval()
        words = transformers.AutoTokenizer.from_pretrained(files)
        self.prompt: Ids = tuple(words.encode("The history of Paris begins with"))
        self.other: Ids = tuple(words.encode("The capital of France is"))

    def logits(self, prompts: Sequence[Ids]) -> Tensor:
        """(prompts, T, V), the prompts of one length."""
        with torch.inference_mode():
            found: Tensor = self.network(torch.tensor(prompts), use_cache=False).logits
        return found

    def continued(self, **how: Any) -> Any:
        """What transformers generates, not sampled."""
        (end,) = self.engine.facts.end_of_text_ids
        with torch.inference_mode():
            return self.network.generate(
                torch.tensor([self.prompt]),
                attention_mask=torch.ones(1, len(self.prompt), dtype=torch.long),
                do_sample=False,
                eos_token_id=end,
                pad_token_id=end,
                return_dict_in_generate=True,
                **how,
            )

    async def written(self, **fields: Any) -> dict[int, Ids]:
        """The ids of each continuation."""
        found: dict[int, Ids] = {}
        asked = {"token_ids": self.prompt, "max_tokens": TOKENS, "stop_token_ids": (), **fields}
        async for event in self.engine.generate(GenerateQuery(**asked), None):
            if isinstance(event, GeneratedToken):
                found[event.index] = (*found.get(event.index, ()), event.token.token.token_id)
        return found

    async def grown(self, **fields: Any) -> dict[Ids, GrownNode]:
        """The nodes of a tree by path."""
        paths: dict[int, Ids] = {0: ()}
        nodes = {}
        async for event in self.engine.grow(GrowQuery(token_ids=self.prompt, **fields), None):
            if isinstance(event, GrownNode):
                paths[event.id] = (*paths[event.parent], event.token.token.token_id)
                nodes[paths[event.id]] = event
        return nodes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real() -> AsyncIterator[Real]:
    torch.set_num_threads(1)
    scheduler = Scheduler(queue_limit=8, batch_size=MANY)
    yield Real(scheduler)
    assert await scheduler.close(5)


async def test_greedy_is_what_transformers_generates(real: Real) -> None:
    theirs = real.continued(max_new_tokens=24).sequences[0, len(real.prompt) :].tolist()
    assert await real.written(temperature=0, max_tokens=24) == {0: tuple(theirs)}


async def test_a_text_is_the_same_alone_among_sixteen_and_resumed(real: Real) -> None:
    """But for draws that close to a boundary, of which this seed has none."""
    many = await real.written(seed=SEED, n=MANY, top_p=TOP_P)
    rows = real.logits([(*real.prompt, *own) for own in many.values()])[:, len(real.prompt) - 1 : -1].double()
    for index, own in many.items():
        for at, token_id in enumerate(own):
            shares, order = rows[index, at].softmax(0).sort(descending=True, stable=True)
            reach = shares.cumsum(0)
            kept = reach[: int((reach < TOP_P).sum()) + 1]
            reach = kept / kept[-1]
            draw = uniform(SEED, index, len(real.prompt) + at)
            assert float((reach - draw).abs().min()) > BOUNDARY
            assert int(order[int(torch.searchsorted(reach, draw, right=True))]) == token_id
    assert len(set(many.values())) == MANY
    assert await real.written(seed=SEED, top_p=TOP_P) == {0: many[0]}
    resume = tuple(GeneratedSoFar(index, many[index][: index % TOKENS]) for index in (3, 7, 14))
    rest = await real.written(seed=SEED, n=MANY, top_p=TOP_P, resume=resume)
    assert rest == {each.index: many[each.index][len(each.token_ids) :] for each in resume}


async def test_a_batch_moves_no_boundary_between_two_tokens_by_more_than_is_said(real: Real) -> None:
    runner: Any = real.engine.executor.model.runner
    prompts = [(*real.prompt, token_id) for token_id in range(1000, 1000 + MANY)]

    def reach(together: list[Ids]) -> list[Tensor]:
        runner.tree.clear()
        tables = [runner.open(ids) for ids in together]
        rows = runner.run([Segment(table, ids) for table, ids in zip(tables, together, strict=True)])
        for table in tables:
            runner.close(table)
        return list(rows.double().softmax(-1))

    many = reach(prompts)
    moved = 0.0
    for ids, among in zip(prompts, many, strict=True):
        (alone,) = reach([ids])
        order = alone.argsort(descending=True, stable=True)
        moved = max(moved, float((alone[order].cumsum(0) - among[order].cumsum(0)).abs().max()))
    assert 0 < moved <= BOUNDARY


async def test_leaves_have_the_logprobs_of_one_pass_and_of_score(real: Real) -> None:
    nodes = await real.grown(depth=3, max_nodes=80)
    leaves = [path for path in nodes if len(path) == 3]
    assert len(leaves) > 8
    rows = real.logits([real.prompt + path for path in leaves])[:, len(real.prompt) - 1 : -1].double().log_softmax(-1)
    for path, own in zip(leaves, rows, strict=True):
        plain = own.gather(1, torch.tensor(path)[:, None])[:, 0]
        assert nodes[path].token.logprob == pytest.approx(float(plain[-1]), abs=LOGPROB)
        assert nodes[path].path_logprob == pytest.approx(float(plain.sum()), abs=LOGPROB)
    for path in leaves[::6]:
        score = await real.engine.score(ScoreQuery(token_ids=real.prompt + path), None)
        told = [token.candidate.logprob for token in score.tokens[len(real.prompt) :]]
        assert nodes[path].path_logprob == pytest.approx(sum(told), abs=LOGPROB)


@pytest.mark.parametrize("width", [2, 5])
async def test_beams_are_those_of_transformers(real: Real, width: int) -> None:
    (end,) = real.engine.facts.end_of_text_ids
    nodes = await real.grown(depth=DEPTH, width=width, max_nodes=2000)
    found = real.continued(
        max_new_tokens=DEPTH, num_beams=width, num_return_sequences=width, length_penalty=0.0, output_scores=True
    )
    texts = [tuple(ids) for ids in found.sequences[:, len(real.prompt) :].tolist()]
    assert not any(end in ids for ids in texts)
    complete = {path: node.path_logprob for path, node in nodes.items() if len(path) == DEPTH}
    best = dict(sorted(complete.items(), key=lambda item: -item[1])[:width])
    assert list(best) == texts
    assert list(best.values()) == pytest.approx(found.sequences_scores.tolist(), abs=LOGPROB)


async def test_divergences_are_those_of_float64(real: Real) -> None:
    query = CompareQuery(ComparedQuestion(token_ids=real.prompt), ComparedQuestion(token_ids=real.other), 5)
    answer = await real.engine.compare(query, real.engine, None)
    p, q = (real.logits([ids])[0, -1].double().softmax(0) for ids in (real.prompt, real.other))
    middle = (p + q) / 2

    def bits(one: Tensor, other: Tensor) -> float:
        return float((one * (one / other).log2()).sum())

    assert answer.kl_a_b_bits > 1
    assert answer.kl_a_b_bits == pytest.approx(bits(p, q), abs=BITS)
    assert answer.kl_b_a_bits == pytest.approx(bits(q, p), abs=BITS)
    assert answer.js_bits == pytest.approx((bits(p, middle) + bits(q, middle)) / 2, abs=BITS)
    assert answer.total_variation == pytest.approx(float((p - q).abs().sum()) / 2, abs=BITS)
