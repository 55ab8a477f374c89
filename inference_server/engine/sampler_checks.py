"""Limits on sampler steps, as a pure function. Raises InvalidField as those of validation do."""

from collections.abc import Callable, Sequence
from typing import Protocol

from inference_server.errors import InvalidField
from inference_server.messages import MAX_TEMPERATURE
from inference_server.sampler_messages import (
    CHOICES,
    FREQUENCY,
    MAX_BIAS,
    MAX_CHOICES,
    MAX_MASK_BYTES,
    MAX_PENALTY,
    MAX_REPETITION,
    MAX_SAMPLER_COUNT,
    MAX_SAMPLER_TOKENS,
    MAX_SIGMAS,
    PRESENCE,
    REPETITION,
    Amount,
    Ban,
    LogitBias,
    Penalty,
    Sampler,
    TextMask,
    Xtc,
)

Range = tuple[Callable[[float], bool], str]


class Question(Protocol):
    """A query about sampled tokens."""

    @property
    def temperature(self) -> float: ...

    @property
    def top_p(self) -> float: ...

    @property
    def min_p(self) -> float: ...

    @property
    def samplers(self) -> Sequence[Sampler]: ...


def _within(least: float, most: float) -> Range:  # false for NaN, as all of these
    return lambda number: least <= number <= most, f"from {least:g} to {most:g}"


def _above(least: float, most: float) -> Range:
    return lambda number: least < number <= most, f"above {least:g} and at most {most:g}"


RANGES: dict[str, Range] = {
    "temperature": _within(0, MAX_TEMPERATURE),
    "top_k": (lambda number: 1 <= number <= MAX_SAMPLER_COUNT, f"from 1 to {MAX_SAMPLER_COUNT:,}"),
    "top_p": _above(0, 1),
    "min_p": _within(0, 1),
    "typical_p": _above(0, 1),
    "top_n_sigma": _above(0, MAX_SIGMAS),
    "epsilon": _above(0, 1),
    "eta": _above(0, 1),
    "top_h": _above(0, 1),
    REPETITION: _above(0, MAX_REPETITION),
    FREQUENCY: _within(-MAX_PENALTY, MAX_PENALTY),
    PRESENCE: _within(-MAX_PENALTY, MAX_PENALTY),
}
BIAS = _within(-MAX_BIAS, MAX_BIAS)


def check_samplers(query: Question) -> None:
    """Steps that occur once each, with numbers in range, and no other field that says how to sample."""
    if not query.samplers:
        return
    for field, value, off in (
        ("temperature", query.temperature, 1),
        ("top_p", query.top_p, 1),
        ("min_p", query.min_p, 0),
    ):
        if value != off:
            raise InvalidField(field, f"can't be given with samplers; add the step {field} to them")
    seen = dict[str, int]()
    for at, step in enumerate(query.samplers):
        if step.name in seen:
            raise InvalidField("samplers", f"{step.name} is given twice, as steps {seen[step.name]} and {at}")
        seen[step.name] = at
        _check(step, f"step {at} ({step.name})")


def _check(step: Sampler, where: str) -> None:
    match step:
        case Amount():
            _check_number(step.amount, RANGES[step.name], where)
        case Penalty():
            _check_number(step.penalty, RANGES[step.name], f"penalty of {where}")
            if step.last is not None and not 1 <= step.last <= MAX_SAMPLER_COUNT:
                raise InvalidField(
                    "samplers", f"last of {where} must be from 1 to {MAX_SAMPLER_COUNT:,}, got {step.last:,}"
                )
        case Xtc():
            _check_number(step.probability, _within(0, 1), f"probability of {where}")
            _check_number(step.threshold, _within(0, 1), f"threshold of {where}")
            if step.coin is not None and not 0 <= step.coin < 1:
                raise InvalidField("samplers", f"coin of {where} must be at least 0 and below 1, got {step.coin!r}")
        case LogitBias():
            _check_tokens(step.token_ids, where)
            for bias in step.biases:
                _check_number(bias, BIAS, f"bias of {where}")
        case Ban():
            _check_tokens(step.token_ids, where)
        case TextMask():
            _check_mask(step, f"{step.kind} of {where}")


def _check_number(number: float, allowed: Range, what: str) -> None:
    within, words = allowed
    if not within(number):
        raise InvalidField("samplers", f"{what} must be {words}, got {number!r}")


def _check_tokens(token_ids: Sequence[int], where: str) -> None:
    if not 1 <= len(token_ids) <= MAX_SAMPLER_TOKENS:
        raise InvalidField(
            "samplers", f"{where} must have from 1 to {MAX_SAMPLER_TOKENS:,} tokens, got {len(token_ids):,}"
        )
    seen = set[int]()
    for token_id in token_ids:
        if token_id in seen:
            raise InvalidField("samplers", f"{where} has the token {token_id:,} twice")
        seen.add(token_id)


def _check_mask(step: TextMask, what: str) -> None:
    """What can be said of a form without reading it."""
    if step.kind == CHOICES and not 1 <= len(step.source) <= MAX_CHOICES:
        raise InvalidField("samplers", f"{what} must be from 1 to {MAX_CHOICES:,} texts, got {len(step.source):,}")
    try:
        sizes = [len(text.encode()) for text in step.source]
    except UnicodeEncodeError as error:
        raise InvalidField("samplers", f"{what} contains an unpaired surrogate at index {error.start}") from error
    if not all(sizes):
        raise InvalidField("samplers", f"{what} must not be empty, got an empty text at index {sizes.index(0):,}")
    if sum(sizes) > MAX_MASK_BYTES:
        raise InvalidField("samplers", f"{what} must be at most {MAX_MASK_BYTES:,} bytes of UTF-8, got {sum(sizes):,}")
