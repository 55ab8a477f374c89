"""Influence beside plain transformers: a mask for what is hidden, edited ids for what is taken out."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
import torch

from inference_server.engine import influence
from inference_server.errors import DeadlineExpired, InvalidField
from inference_server.influence_messages import InfluenceChange, InfluenceEnd, InfluenceQuery, InfluenceStart
from models.architectures import ARCHITECTURES
from models.conftest import Cell
from models.test_truth import UNFIT

IDS = tuple(random.Random(3).choices(range(5, 250), k=18))
KIND = "byte_bpe"
SLIDING = {"mistral_sliding": 4, "gemma2": 4, "gemma3": 4}
ODDS = 1e-4


def odds(logits: torch.Tensor, target: int, contrast: int | None = None) -> float:
    logits = logits.double()
    if contrast is not None:
        return float(logits[target] - logits[contrast])
    logprob = logits.log_softmax(-1)[target]
    return float(logprob - torch.log1p(-logprob.exp()))


def hidden(at: Cell, ids: Sequence[int], span: tuple[int, int]) -> torch.Tensor:
    """(V,) logits after a prompt whose last position does not look at a part, by a 4D mask."""
    count, low = len(ids), torch.finfo(torch.float32).min
    masks = {"full_attention": torch.full((count, count), low).triu(1)}
    window = SLIDING.get(at.architecture, count)
    masks["sliding_attention"] = masks["full_attention"] + torch.full((count, count), low).tril(-window)
    for mask in masks.values():
        mask[-1, span[0] : span[1]] = low
    shaped = {name: mask.clamp(min=low)[None, None] for name, mask in masks.items()}
    mixed = at.architecture in ("gemma2", "gemma3")
    given: Any = shaped if mixed else shaped["sliding_attention" if at.architecture in SLIDING else "full_attention"]
    places = {"position_ids": torch.arange(count)[None]} if at.architecture == "opt" else {}  # it counts them in masks
    with torch.inference_mode():
        logits: torch.Tensor = at.network(input_ids=torch.tensor([ids]), attention_mask=given, **places).logits[0, -1]
    return logits


async def told(at: Cell, **asked: Any) -> tuple[InfluenceStart, list[InfluenceChange], InfluenceEnd]:
    events = [event async for event in at.engine.influence(InfluenceQuery(token_ids=IDS, **asked), None)]
    start, *changes, end = events
    assert isinstance(start, InfluenceStart)
    assert isinstance(end, InfluenceEnd)
    return start, [change for change in changes if isinstance(change, InfluenceChange)], end


def top(at: Cell, count: int = 2) -> list[int]:
    found: list[int] = at.plain(IDS)[-1].topk(count).indices.tolist()
    return found


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name not in UNFIT])
@pytest.mark.parametrize("contrasted", [False, True])
async def test_hide_is_a_mask(cell: Callable[[str, str], Cell], architecture: str, contrasted: bool) -> None:
    at = cell(architecture, KIND)
    target, other = top(at)
    contrast = other if contrasted else None
    start, changes, end = await told(at, target=target, contrast=contrast, unit="token")
    base = odds(at.plain(IDS)[-1], target, contrast)
    assert start.log_odds == pytest.approx(base, abs=ODDS)
    assert start.target.token.token_id == target
    for change in changes:
        unit = start.units[change.unit]
        expected = odds(hidden(at, IDS, (unit.start, min(unit.end, len(IDS) - 1))), target, contrast) - base
        assert change.log_odds_change == pytest.approx(expected, abs=ODDS)
    measured = [unit for unit in start.units if unit.start < len(IDS) - 1]
    assert [change.unit for change in changes] == list(range(len(measured)))
    assert (end.measured, end.complete, end.rank_correlation) == (len(measured), True, None)


async def test_parts_beyond_one_group_are_hidden_alike(
    cell: Callable[[str, str], Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = cell("llama", KIND)
    target = top(at)[0]
    _, together, _ = await told(at, target=target, unit="token")
    monkeypatch.setattr(influence, "GROUP", 5)
    _, apart, _ = await told(at, target=target, unit="token")
    assert [each.unit for each in apart] == [each.unit for each in together]
    assert len(apart) > 2 * 5
    found, expected = ([each.log_odds_change for each in changes] for changes in (apart, together))
    assert found == pytest.approx(expected, abs=ODDS)


@pytest.mark.parametrize("architecture", sorted(UNFIT))
async def test_without_stored_keys_hide_is_refused(cell: Callable[[str, str], Cell], architecture: str) -> None:
    at = cell(architecture, KIND)
    with pytest.raises(InvalidField, match="method: hide needs the keys and values") as refused:
        await told(at, target=top(at)[0])
    assert refused.value.field == "method"


@pytest.mark.parametrize("architecture", ["llama", "mistral_sliding", "gpt2", "bloom", "mamba", "phi3_longrope"])
@pytest.mark.parametrize("replace_with", [None, 77])
async def test_take_out_is_the_edited_prompt(
    cell: Callable[[str, str], Cell], architecture: str, replace_with: int | None
) -> None:
    at = cell(architecture, KIND)
    target, _ = top(at)
    start, changes, end = await told(at, target=target, unit="word", method="take_out", replace_with=replace_with)
    found = {change.unit: change.log_odds_change for change in changes if change.method == "take_out"}
    assert sorted(found) == list(range(len(start.units)))
    base = odds(at.plain(IDS)[-1], target)
    for number, change in found.items():
        unit = start.units[number]
        middle = () if replace_with is None else (replace_with,) * (unit.end - unit.start)
        edited = (*IDS[: unit.start], *middle, *IDS[unit.end :])
        assert change == pytest.approx(odds(at.plain(edited)[-1], target) - base, abs=ODDS)
    assert end.complete
    assert (end.rank_correlation is None) == (architecture in UNFIT)


async def test_replacing_is_captums_ablation(cell: Callable[[str, str], Cell]) -> None:
    from captum.attr import FeatureAblation  # with matplotlib: only where it is used

    at = cell("llama", KIND)
    target, _ = top(at)
    start, changes, _ = await told(at, target=target, unit="token", method="take_out", replace_with=77)
    parts = torch.zeros(1, len(IDS), dtype=torch.long)
    fine = [unit for unit in start.units if unit.kind == "token"]
    for number, unit in enumerate(fine):
        parts[0, unit.start : unit.end] = number

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return torch.tensor([odds(at.plain(row)[-1], target) for row in ids.tolist()], dtype=torch.float64)

    ablation = FeatureAblation(forward).attribute(torch.tensor([IDS]), baselines=77, feature_mask=parts)
    found = {change.unit: change.log_odds_change for change in changes if change.method == "take_out"}
    for number, unit in enumerate(fine):
        assert found[number] == pytest.approx(-float(ablation[0, unit.start]), abs=ODDS)


async def test_sentences_come_first_then_what_hide_finds(cell: Callable[[str, str], Cell]) -> None:
    at = cell("llama", KIND)
    text = "One two three. Four five six. Seven eight"
    query = InfluenceQuery(text=text, target=9, unit="word", method="take_out")
    start, *events, end = [event async for event in at.engine.influence(query, None)]
    assert isinstance(start, InfluenceStart)
    assert isinstance(end, InfluenceEnd)
    kinds = [unit.kind for unit in start.units]
    fine = kinds.count("word")
    assert kinds == ["word"] * fine + ["sentence"] * 3
    changes = [event for event in events if isinstance(event, InfluenceChange)]
    hide = {change.unit: abs(change.log_odds_change) for change in changes if change.method == "hide"}
    taken = [change.unit for change in changes if change.method == "take_out"]
    assert set(taken[:3]) == {fine, fine + 1, fine + 2}
    assert set(taken[-4:]) >= {0}, "the attention sink is among the last in progress"
    words = [number for number in taken if number < fine]
    early, late = words[: len(words) // 2], words[len(words) // 2 :]
    assert sum(hide.get(number, 0) for number in early) > sum(hide.get(number, 0) for number in late)


async def test_a_budget_is_kept(cell: Callable[[str, str], Cell]) -> None:
    at = cell("llama", KIND)
    at.forget()
    target, _ = top(at)
    whole = await told(at, target=target, unit="token", method="take_out")
    at.forget()
    start, changes, end = await told(at, target=target, unit="token", method="take_out", budget=30)
    taken = [start.units[change.unit] for change in changes if change.method == "take_out"]
    assert 0 < len(taken) < len(start.units)
    assert sum(len(IDS) - (unit.end - unit.start) - unit.start for unit in taken) <= 30
    assert not end.complete
    assert end.measured < whole[2].measured
    assert end.computed_tokens < whole[2].computed_tokens
    assert start.planned_tokens == 30
    assert whole[0].planned_tokens == sum(len(IDS) - unit.end for unit in whole[0].units)


async def test_who_stops_leaves_nothing_behind(cell: Callable[[str, str], Cell]) -> None:
    at = cell("llama", KIND)
    for method in ("take_out", "gradient"):
        query = InfluenceQuery(token_ids=IDS, target=9, unit="token", method=method)
        async with aclosing(at.engine.influence(query, None)) as events:
            async for event in events:
                if isinstance(event, InfluenceChange) and event.method == method:
                    break
        for _ in range(200):
            if not at.scheduler.in_flight:
                break
            await asyncio.sleep(0.01)
        assert at.scheduler.in_flight == 0
    stats = at.engine.stats.kv_cache
    assert stats is not None
    assert stats.stray_holds == 0


async def test_a_deadline_ends_it(cell: Callable[[str, str], Cell]) -> None:
    at = cell("llama", KIND)
    query = InfluenceQuery(token_ids=IDS, target=9, unit="token", method="take_out")
    with pytest.raises(DeadlineExpired):
        async for _ in at.engine.influence(query, 0.0):
            pass
    assert at.scheduler.in_flight == 0
