"""What runs next, decided by pure functions: which sequences share a step, then how many tokens of each."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from inference_server.interruption import Interruption
from inference_server.sequence import Limits, Sequence, Trace

Batch = list[tuple[Sequence[Any], int]]


def candidates(waiting: Iterable[Sequence[Any]], batch_size: int) -> list[Sequence[Any]]:
    """The first sequence and, in order, those that may share a step with it, `batch_size` in all.

    They are prompts of the same model. What is not a prompt to be continued runs alone, as does any sequence of a model
    that can't batch.
    """
    waiting = list(waiting)
    first = waiting[0]
    if first.alone or not first.executor.batched:
        return [first]
    same = (each for each in waiting if each.executor is first.executor and not each.alone)
    return list(islice(same, batch_size))


def schedule(matched: list[Sequence[Any]], limits: Limits) -> Batch:
    """The next step's tokens, once the cache has been searched: single tokens if there are any, else prefill chunks.

    Half of a prefill step is the first sequence's. The rest goes in order, but first to sequences that it finishes.
    A sequence that needs a pass of its own gets one when it comes first.
    """
    first = matched[0]
    if first.trace is not None:
        return [(first, trace_step(first, first.trace, limits))]
    if first.single_pass:
        return [(first, first.remaining)]
    if first.alone:
        step = background_step([first], limits.score_tokens, limits) if first.background else limits.score_tokens
        return [(first, min(first.remaining, step))]
    parts = [each for each in matched if not each.single_pass]
    if clicks := [(each, 1) for each in parts if each.remaining == 1]:
        return clicks
    step = limits.prefill_tokens
    if all(each.background for each in parts):
        step = background_step(parts, step, limits)
    counts = [min(first.remaining, -(-step // 2)), *[0] * (len(parts) - 1)]
    for at in sorted(range(len(parts)), key=lambda at: parts[at].remaining > step):
        counts[at] += min(parts[at].remaining - counts[at], step - sum(counts))
    return [(each, count) for each, count in zip(parts, counts, strict=True) if count]


def background_step(sequences: Iterable[Sequence[Any]], full: int, limits: Limits) -> int:
    """Tokens of a step in the background, of which one in the foreground has `full`.

    As many where others can end it; but once they did, few, and then twice as many each time, so that neither they nor
    what they end is much.
    """
    calm = min(each.calm for each in sequences) if limits.interruptible else 1
    return int(max(limits.background_tokens, min(full, limits.background_tokens * calm)))


def allow(interruption: Interruption, sequences: list[Sequence[Any]]) -> bool:
    """Whether their next step may be interrupted: in the background, unless that has just happened to one of them."""
    allowed = all(each.background and not each.interrupted for each in sequences)
    if allowed:
        interruption.clear()
    for sequence in sequences:
        sequence.interruption = interruption if allowed else None
        sequence.calm = 1 if sequence.interrupted else 2 * sequence.calm
        sequence.interrupted = False
    return allowed


def trace_step(sequence: Sequence[Any], trace: Trace, limits: Limits) -> int:
    """A trace's next step: prefill chunks, then the last token by itself, then its states, some at a time."""
    if trace.states is not None:
        return min(limits.head_rows, trace.rows - len(sequence.outputs))
    if sequence.single_pass or sequence.remaining == 1:
        return sequence.remaining
    return min(limits.prefill_tokens, sequence.remaining - 1)
