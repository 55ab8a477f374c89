"""Generated texts are those of plain transformers: greedy as its `generate`, drawn as the distributions say, the same
alone and in a batch, cold and cached, in one stream and resumed."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
import torch

from inference_server.attention.batch import Segment
from inference_server.errors import ComputeFailed, DeadlineExpired, InvalidField
from inference_server.generate_messages import (
    FinishReason,
    GeneratedSoFar,
    GeneratedToken,
    GenerateFinish,
    GenerateQuery,
    GenerateStart,
)
from inference_server.messages import Client, TopKQuery
from inference_server.sampling.counter_rng import uniform
from models.architectures import ARCHITECTURES
from models.conftest import Cell

MakeCell = Callable[[str, str], Cell]

PROMPT = (7, 8, 9, 10, 11)
BOUNDARY = 1e-6  # a draw this close to the boundary between two tokens may go either way

each_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


async def written(
    at: Cell, **fields: Any
) -> tuple[dict[int, list[int]], dict[int, GenerateFinish], list[GeneratedToken]]:
    """The ids and the end of each continuation, and all tokens as they came."""
    query = GenerateQuery(**{"token_ids": PROMPT, "max_tokens": 8, "stop_token_ids": (), **fields})
    ids: dict[int, list[int]] = {}
    ends: dict[int, GenerateFinish] = {}
    tokens = []
    async with aclosing(at.engine.generate(query, None)) as events:
        async for event in events:
            match event:
                case GeneratedToken():
                    assert event.index not in ends
                    ids.setdefault(event.index, []).append(event.token.token.token_id)
                    tokens.append(event)
                case GenerateFinish():
                    ends[event.index] = event
                    assert event.token_count >= len(ids.get(event.index, []))
                case GenerateStart():
                    assert not tokens
                    assert list(event.token_ids) == list(query.token_ids or event.token_ids)
    return ids, ends, tokens


def reference(at: Cell, ids: Sequence[int], temperature: float, draw: float, top_p: float) -> set[int]:
    """The token at a point of plain transformers' distribution, top-p applied, or the two at whose boundary it lies."""
    logits = at.plain(ids)[-1].double()
    order = logits.sort(descending=True, stable=True).indices
    probabilities = torch.softmax(logits[order] / temperature, 0)
    kept = probabilities.cumsum(0)
    count = int((kept < top_p - 1e-12).sum()) + 1 if top_p < 1 else len(kept)
    kept = kept[:count] / kept[count - 1]
    points = torch.tensor([max(0.0, draw - BOUNDARY), draw, min(draw + BOUNDARY, 1 - 1e-15)], dtype=torch.float64)
    return {int(order[min(int(place), count - 1)]) for place in torch.searchsorted(kept, points, right=True)}


@each_architecture
async def test_greedy_is_what_transformers_generates(
    cell: MakeCell, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = cell(architecture, "byte_bpe")
    at.forget()
    monkeypatch.setattr(at.engine, "_lookahead", 0)  # what is computed ahead, in a batch, differs in the last bits
    ids, ends, tokens = await written(at, temperature=0, max_tokens=12, top_k=3)
    ours = ids[0]
    with torch.inference_mode():
        theirs = at.network.generate(
            torch.tensor([PROMPT]),
            attention_mask=torch.ones(1, len(PROMPT), dtype=torch.long),
            max_new_tokens=12,
            do_sample=False,
            pad_token_id=0,
        )[0, len(PROMPT) :].tolist()
    assert ours == theirs
    assert ends[0].finish_reason is FinishReason.LENGTH
    for count, token in enumerate(tokens):
        answer = await at.engine.top_k(TopKQuery(token_ids=(*PROMPT, *ours[:count]), top_k=3, temperature=0), None)
        assert token.token == token.candidates[0]
        assert list(token.candidates) == list(answer.candidates)
        for name in ("entropy_bits", "kept_count", "kept_probability", "other_probability"):
            assert getattr(token, name) == getattr(answer, name)


@each_architecture
async def test_draws_are_those_of_the_seed_in_transformers_distributions(cell: MakeCell, architecture: str) -> None:
    at = cell(architecture, "byte_bpe")
    ids, _, _ = await written(at, temperature=0.8, top_p=0.9, seed=5, n=3)
    assert len({tuple(each) for each in ids.values()}) > 1
    for index, own in ids.items():
        for count, token_id in enumerate(own):
            so_far = (*PROMPT, *own[:count])
            draw = uniform(5, index, len(so_far))
            assert token_id in reference(at, so_far, 0.8, draw, 0.9)


async def test_a_drawn_token_is_the_one_that_top_k_draws(cell: MakeCell) -> None:
    at = cell("qwen3", "byte_bpe")
    ids, _, tokens = await written(at, temperature=1.3, top_p=0.95, min_p=0.01, seed=11)
    for count, token in enumerate(tokens):
        so_far = (*PROMPT, *ids[0][:count])
        query = TopKQuery(
            token_ids=so_far, temperature=1.3, top_p=0.95, min_p=0.01, draws=(uniform(11, 0, len(so_far)),)
        )
        answer = await at.engine.top_k(query, None)
        assert token.token == answer.drawn[0]


async def test_the_same_seed_gives_the_same_text_in_every_batch_cold_and_cached(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    at.forget()
    cold, _, _ = await written(at, seed=3, n=16)
    warm, _, _ = await written(at, seed=3, n=16)
    assert cold == warm
    assert (await written(at, seed=3, n=2))[0] == {index: cold[index] for index in range(2)}
    at.forget()
    beside = await asyncio.gather(
        written(at, seed=3, n=16), *(written(at, seed=seed, token_ids=PROMPT[:seed]) for seed in range(1, 5))
    )
    assert beside[0][0] == cold
    assert (await written(at, seed=4, n=16))[0] != cold


@pytest.mark.parametrize("architecture", ["llama", "bloom", "mamba"])
async def test_a_stream_goes_on_from_where_it_broke(cell: MakeCell, architecture: str) -> None:
    """On a server that has computed nothing of it; stop texts and the number of tokens count from the beginning."""
    at = cell(architecture, "byte_bpe")
    whole, ends, _ = await written(at, seed=9, n=2, max_tokens=10)
    resume = (GeneratedSoFar(1, tuple(whole[1][:4])), GeneratedSoFar(0, tuple(whole[0][:1])))
    at.forget()
    rest, rest_ends, _ = await written(at, seed=9, n=2, max_tokens=10, resume=resume)
    assert rest == {0: whole[0][1:], 1: whole[1][4:]}
    for index in range(2):
        assert (rest_ends[index].text, rest_ends[index].token_count) == (ends[index].text, 10)


async def test_why_a_continuation_ends(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    ids, _, tokens = await written(at, temperature=0, max_tokens=10)
    third = ids[0][2]
    first = ids[0].index(third)
    ids, ends, _ = await written(at, temperature=0, max_tokens=10, stop_token_ids=(third,))
    assert (ends[0].finish_reason, ends[0].stop_token_id) == (FinishReason.STOP_TOKEN, third)
    assert (ids[0][-1], ends[0].token_count) == (third, first + 1)
    text = b"".join(token.token.token.bytes for token in tokens if not token.token.token.is_special)
    words = text.decode(errors="replace")
    at_byte = next(place for place in range(3, len(words) - 2) if "\ufffd" not in words[place : place + 3])
    stop = words[at_byte : at_byte + 3]
    _, ends, _ = await written(at, temperature=0, max_tokens=10, stop=["never there", stop])
    assert (ends[0].finish_reason, ends[0].stop_text) == (FinishReason.STOP_TEXT, stop)
    assert ends[0].text == words[: words.index(stop)]


async def test_end_of_text_ends_unless_told_otherwise(cell: MakeCell) -> None:
    """After a prompt behind which it is the likeliest token: greedy and drawn texts end, unless nothing stops them."""
    at = cell("llama", "tiktoken")
    (end,) = at.engine.facts.end_of_text_ids
    head = at.engine.executor.model.network.lm_head.weight
    hidden: list[torch.Tensor] = []
    hook = at.network.lm_head.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0][0, -1]))
    at.plain(PROMPT)
    hook.remove()
    kept = head[end].clone()
    at.forget()
    try:
        head.data[end] = 10 * hidden[0] / hidden[0].norm()  # a logit that no other token's comes near
        likely = await at.engine.top_k(TopKQuery(token_ids=PROMPT, watch_token_ids=(end,)), None)
        assert likely.watched[0].rank == 1
        assert likely.watched[0].probability > 0.5
        _, ends, _ = await written(at, temperature=0, stop_token_ids=None)
        assert (ends[0].finish_reason, ends[0].stop_token_id) == (FinishReason.STOP_TOKEN, end)
        assert ends[0].token_count == 1
        _, ends, _ = await written(at, n=16, seed=1, temperature=2.0, max_tokens=4, stop_token_ids=None)
        stopped = [each for each in ends.values() if each.finish_reason is FinishReason.STOP_TOKEN]
        assert stopped
        assert all(each.stop_token_id == end for each in stopped)
        ids, ends, _ = await written(at, temperature=0, stop_token_ids=())
        assert ids[0][0] == end
        assert (ends[0].finish_reason, ends[0].token_count) == (FinishReason.LENGTH, 8)
    finally:
        head.data[end] = kept
        at.forget()


async def test_many_continuations_are_one_batch(cell: MakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their prompt is computed once, and each step is one pass with one token of each."""
    at = cell("gpt2", "byte_bpe")
    at.forget()
    runner, passes = at.engine.executor.model.runner, list[list[int]]()
    assert runner is not None
    compute = runner.run

    def counting(segments: list[Segment], *more: Any) -> Any:
        passes.append([len(segment.token_ids) for segment in segments])
        return compute(segments, *more)

    monkeypatch.setattr(at.engine, "_lookahead", 0)
    monkeypatch.setattr(runner, "run", counting)
    ids, _, _ = await written(at, n=16, seed=1, temperature=50.0, max_tokens=6)
    seconds = {own[0] for own in ids.values()}
    assert len(seconds) > 8  # or it would be no test
    assert passes[0] == [len(PROMPT)]
    assert passes[1] == [1] * len(seconds)
    assert passes[2:] == [[1] * len({tuple(own[:count]) for own in ids.values()}) for count in range(2, 6)]


async def test_the_context_window_ends_a_text(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    limit = at.engine.facts.context_limit
    full = tuple(5 + i for i in range(limit))
    ids, ends, _ = await written(at, token_ids=full)
    assert (len(ids[0]), ends[0].finish_reason) == (1, FinishReason.LENGTH)
    ids, ends, _ = await written(at, token_ids=full[:-3], max_tokens=50)
    assert (len(ids[0]), ends[0].finish_reason) == (4, FinishReason.LENGTH)
    ids, ends, _ = await written(at, token_ids=full, seed=1, resume=(GeneratedSoFar(0, (5,)),))
    assert (ids.get(0, []), ends[0].finish_reason) == ([], FinishReason.LENGTH)
    with pytest.raises(InvalidField, match="resume: 65 tokens; this model's context window is 64"):
        await written(at, token_ids=full, seed=1, resume=(GeneratedSoFar(0, (5, 6)),))


async def test_half_characters_are_sent_as_they_come(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    _, ends, tokens = await written(at, seed=2, temperature=3, max_tokens=40)
    spelled = b"".join(token.token.token.bytes for token in tokens if not token.token.token.is_special)
    assert any(token.token.token.text is None for token in tokens)
    assert ends[0].text == spelled.decode(errors="replace")


async def test_a_continuation_that_has_ended_is_told_its_end_and_not_continued(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    reasons: dict[FinishReason, Any] = {
        FinishReason.STOP_TOKEN: {"stop_token_ids": (9,)},
        FinishReason.LENGTH: {"max_tokens": 1},
    }
    for reason, fields in reasons.items():
        ids, ends, _ = await written(at, seed=1, resume=(GeneratedSoFar(0, (9,)),), **fields)
        assert (ids.get(0, []), ends[0].finish_reason, ends[0].token_count) == ([], reason, 1)
        with pytest.raises(InvalidField, match=r"^resume: continuation 0 (has 2 tokens|ended after 1 token)"):
            await written(at, seed=1, resume=(GeneratedSoFar(0, (9, 9)),), **fields)


async def test_an_error_says_where_the_stream_broke(cell: MakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
    at = cell("llama", "byte_bpe")
    at.forget()
    executor, steps = at.engine.executor, 0
    compute = executor.backend.execute

    def failing(*arguments: Any) -> None:
        nonlocal steps
        steps += 1
        if steps > 3:
            raise ValueError("secret")
        compute(*arguments)

    monkeypatch.setattr(executor.backend, "execute", failing)
    tokens = 0

    async def read() -> None:
        nonlocal tokens
        async for event in at.engine.generate(GenerateQuery(token_ids=PROMPT, stop_token_ids=()), None):
            tokens += isinstance(event, GeneratedToken)

    with pytest.raises(ComputeFailed, match="broken off: continuation 0 after 3 tokens") as failed:
        await read()
    assert tokens == 3
    assert "secret" not in str(failed.value)
    assert at.scheduler.in_flight == 0


async def test_a_deadline_ends_a_stream(cell: MakeCell) -> None:
    at = cell("gpt2", "byte_bpe")
    at.forget()
    with pytest.raises(DeadlineExpired):
        async for _ in at.engine.generate(GenerateQuery(token_ids=PROMPT), 0.0):
            pass
    assert at.scheduler.in_flight == 0


async def test_a_caller_that_leaves_frees_its_place_and_nothing_is_computed_for_it(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    at.forget()
    computed = at.engine.stats.computed_tokens
    query = GenerateQuery(token_ids=PROMPT, n=4, max_tokens=50, stop_token_ids=(), seed=8)
    async with aclosing(at.engine.generate(query, None, Client("10.0.0.1"))) as events:
        async for event in events:
            if isinstance(event, GeneratedToken):
                break
        assert at.scheduler.in_flight == 1  # one place, however many continuations
    assert at.scheduler._worker.waiting == 0
    assert at.engine.stats.computed_tokens - computed <= len(PROMPT) + 2 * 4
