"""Models that fit no paged pass go on from their own caches: with the numbers of a whole pass, and within a bound."""

import copy
import random
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from inference_server.runtime.hf_cache import HFCache, build_hf_cache
from models.shapes import PLAIN, VOCABULARY, build

LIMIT = 1 << 20
LONGEST = 60
FORGETFUL = {"gpt-oss", "jamba", "lfm2", "mamba"}  # caches that can't be cut back
SINGLY = {"jamba", "mamba"}  # go on by single tokens
Known = tuple[str, HFCache, Callable[[tuple[int, ...]], Tensor]]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=PLAIN)
def known(request: pytest.FixtureRequest) -> Known:
    """An architecture, its HFCache, and what it gives plainly: probabilities after a prompt."""
    model = build(request.param)
    plain: Any = copy.deepcopy(model)

    @cache
    def after(ids: tuple[int, ...]) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = plain(torch.tensor([ids]), use_cache=False).logits[0, -1]
        return logits.softmax(0)

    states = build_hf_cache(model, LIMIT, last_only=True)
    assert states is not None
    return request.param, states, after


def clear(states: HFCache) -> None:
    for key in [*states._entries]:
        states._drop(key)
    assert states.used_bytes == 0
    states.limit_bytes = LIMIT


def ask(known: Known, ids: Sequence[int], most: int = 10) -> list[int]:
    """Takes a prompt to its end, which must be right; how many tokens each step computed."""
    _, states, after = known
    steps, logits = list[int](), None
    while logits is None:
        count, logits = states.advance(ids, most)
        steps.append(count)
        assert len(steps) < LONGEST
        held = sum(kept.nbytes for kept in states._entries.values())
        assert held == states.used_bytes <= states.limit_bytes
    assert float((logits.softmax(0) - after(tuple(ids))).abs().max()) < 1e-4
    return steps


def test_what_a_model_can_is_found_out(known: Known) -> None:
    name, states, _ = known
    assert (states.chunks, states.cuts) == (name not in SINGLY, name not in FORGETFUL)


def test_an_appended_token_costs_one_and_an_undone_one_none_of_the_others(known: Known) -> None:
    name, states, _ = known
    clear(states)
    prompt = random.Random(2).choices(range(3, VOCABULARY), k=32)
    assert ask(known, prompt) == ([32] if name in SINGLY else [10, 10, 10, 2])
    assert len(states._entries) == 1, "a step's own cache goes on in the next one's"
    for longer in ([*prompt, 5], [*prompt, 5, 6], [*prompt, 7], [*prompt, 5, 8], [*prompt, 9]):
        assert ask(known, longer) == [1], "undone and done otherwise, too"
    assert ask(known, [*prompt, 9, 4, 4, 4]) == [3]
    if name not in FORGETFUL:
        assert ask(known, [*prompt[:20], 3]) == [1]
        assert ask(known, prompt[:15]) == [1]


def test_whatever_is_asked_in_whatever_room(known: Known) -> None:
    """Random moves of several clients, with room for all, for some and for nearly none of the caches."""
    _, states, _ = known
    draw = random.Random(4)
    for limit in (LIMIT, 100_000, 20_000):
        clear(states)
        states.limit_bytes = limit
        prompts = [[1]] * 3
        for _ in range(60):
            who = draw.randrange(3)
            prompt = prompts[who]
            move = draw.random()
            if move < 0.5:
                prompt = [*prompt, draw.randint(3, 5)]
            elif move < 0.7:
                prompt = prompt[: -draw.randint(1, 5)] or [2]
            elif move < 0.8:
                prompt = prompts[draw.randrange(3)]
            elif move < 0.9:
                prompt = [*prompt[: len(prompt) // 2], 6, *prompt[len(prompt) // 2 + 1 :]]
            else:
                prompt = draw.choices(range(3, 6), k=draw.randint(1, 40))
            prompts[who] = prompt[:LONGEST]
            ask(known, prompts[who], most=LONGEST if limit < LIMIT else 7)
    clear(states)


def test_what_is_counted_is_what_is_held(known: Known) -> None:
    _, states, _ = known
    clear(states)
    draw = random.Random(6)
    for _ in range(5):
        ask(known, draw.choices(range(3, VOCABULARY), k=draw.randint(1, 40)))
    pieces = dict[int, int]()
    for kept in states._entries.values():
        layers = kept.cache.layers
        tensors = [each for layer in layers for part in vars(layer).values() for each in parts(part)]
        pieces |= {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    assert states.used_bytes == sum(pieces.values()) + sum(sys.getsizeof(key) for key in states._entries)
    stats = states.stats
    assert (stats.bytes, stats.blocks * stats.block_bytes) == (states.used_bytes, LIMIT)
    assert stats.stray_holds == 0


def parts(of: Any) -> list[Tensor]:
    found = of.values() if isinstance(of, dict) else [of]
    return [each for each in found if isinstance(each, Tensor)]


def test_a_window_that_has_moved_on_is_not_cut_back() -> None:
    """A trial shorter than a model's window can't tell; the first longer prompt does."""
    model = build("gpt-oss")
    states = build_hf_cache(model, LIMIT, last_only=True)
    assert states is not None
    states.cuts = True
    known = ("gpt-oss", states, lambda ids: whole(model, ids))
    prompt = [*range(3, 40)]
    ask(known, prompt)
    assert sum(ask(known, [*prompt[:20], 3])) == 21
    assert not states.cuts


def whole(model: Any, ids: Sequence[int]) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
    return logits.softmax(0)


def test_a_model_that_gives_other_numbers_with_its_cache_goes_without() -> None:
    model: Any = build("bloom")
    compute = model.forward

    def wrong(input_ids: Tensor, past_key_values: Any = None, **others: Any) -> Any:
        output = compute(input_ids, past_key_values=past_key_values, **others)
        if past_key_values is not None:
            output.logits = output.logits * 1.01
        return output

    model.forward = wrong
    assert build_hf_cache(model, LIMIT, last_only=True) is None


@pytest.mark.parametrize("limit", [0, -1])
def test_none_without_room(limit: int) -> None:
    assert build_hf_cache(build("bloom"), limit, last_only=True) is None
