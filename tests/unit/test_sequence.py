"""Sequences on their way through a model: what is left to compute, and when they are done."""

from typing import Any

import pytest

from inference_server.sequence import Sequence, Trace

NOBODYS: Any = None  # no executor


def made(ids: tuple[int, ...], every_row: bool = False) -> Sequence[str]:
    return Sequence(ids, NOBODYS, lambda sequence, rows: rows, every_row=every_row)


def test_a_prompt_is_done_with_the_logits_after_its_last_token() -> None:
    prompt = made((1, 2, 3))
    assert (prompt.remaining, prompt.done) == (3, False)
    prompt.num_cached_tokens = 2
    assert prompt.remaining == 1
    prompt.receive(["a"])
    assert prompt.done


def test_a_score_is_done_once_every_token_is_described() -> None:
    score = made((1, 2), every_row=True)
    score.receive(["a"])
    assert not score.done
    score.receive(["b"])
    assert score.done
    assert score.outputs == ["a", "b"]


@pytest.mark.parametrize(("cached", "remaining"), [(3, 2), (1, 2), (0, 3)])
def test_what_was_evicted_of_a_score_comes_first(cached: int, remaining: int) -> None:
    score = made((1, 2, 3, 4, 5), every_row=True)
    score.receive(["a", "b", "c"])
    score.num_cached_tokens = cached
    assert score.remaining == remaining


def test_hidden_parts_come_after_the_tokens_before_the_last() -> None:
    sequence: Sequence[str] = Sequence((1, 2, 3), NOBODYS, lambda sequence, rows: rows, hidden=[(0, 1), (1, 2), (0, 2)])
    assert sequence.alone
    sequence.num_cached_tokens = 1
    assert sequence.remaining == 1
    sequence.num_cached_tokens = 2
    assert sequence.remaining == 3
    sequence.receive(["a", "b"])
    assert (sequence.remaining, sequence.done) == (1, False)
    sequence.receive(["c"])
    assert sequence.done


def test_tokens_computed_again_are_not_reused() -> None:
    prompt = made((1, 2, 3))
    prompt.num_computed_tokens = 1
    assert prompt.num_reused_tokens == 2
    prompt.num_computed_tokens = 5
    assert prompt.num_reused_tokens == 0


def test_a_trace_is_done_once_every_layer_is_described() -> None:
    prompt = made((1, 2))
    assert not prompt.alone
    prompt.trace = Trace(rows=2)
    assert prompt.alone
    prompt.outputs = ["embedding"]
    assert not prompt.done
    prompt.outputs.append("block")
    assert prompt.done


def test_two_sequences_of_one_prompt_are_two() -> None:
    assert made((1, 2)) != made((1, 2))


def test_who_left_or_is_late_is_not_wanted() -> None:
    prompt = made((1,))
    assert prompt.wanted(now=1.0)
    prompt.deadline = 2.0
    assert prompt.wanted(now=1.9)
    assert not prompt.wanted(now=2.0)
    prompt.deadline, prompt.left = None, True
    assert not prompt.wanted(now=1.0)
