"""From the state after the last block to two tokens' logits: final norm, projection, head, as linear steps."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from inference_server.runtime.hooks import Hooks, of_output, wide

LINEAR = 2e-4  # the largest relative error of a step that is taken for linear, in float32


class UnattributableError(Exception):
    """Why a network's logits can't be attributed to its parts."""


@dataclass(frozen=True, slots=True)
class FrozenNorm:
    """norm(x) = scale(x) · weight · (x, less its mean if `centred`) + bias, where only the scale depends on x."""

    module: nn.Module
    weight: Tensor
    bias: Tensor
    centred: bool

    def inner(self, x: Tensor) -> Tensor:
        return x - x.mean(-1, keepdim=True) if self.centred else x

    def scale(self, x: Tensor) -> float:
        """Of a (width,) state."""
        shape = self.weight * self.inner(wide(x))
        return float(shape @ (self.out(x) - self.bias) / (shape @ shape))

    def out(self, x: Tensor) -> Tensor:
        """The module's own, of a (width,) state, in float64."""
        with torch.inference_mode():
            return wide(of_output(self.module(x[None, None]))).flatten()


@dataclass(frozen=True, slots=True, eq=False)
class HeadPath:
    """What leads from a state to the logits."""

    norm: FrozenNorm
    projection: nn.Module | None
    head: Any
    scale: float
    """What the head's output is multiplied with."""
    capped: bool

    @property
    def biased(self) -> bool:
        """Whether a part of the logits depends on no state."""
        given = (self.head, self.projection)
        return bool(self.norm.bias.any()) or any(getattr(each, "bias", None) is not None for each in given)

    def difference(self, state: Tensor, contrast: tuple[int, int]) -> tuple[float, Callable[[Tensor], float], float]:
        """The difference between two tokens' logits after a (width,) state, a part's share of it, and the constant.

        The first is computed by the norm itself, so it shows what the others leave out.
        """
        rows, constant = self._rows(contrast)
        direction = rows * self.norm.weight * self.norm.scale(state)

        def share(part: Tensor) -> float:
            return float(direction @ self.norm.inner(wide(part)))

        total = float(rows @ self.norm.out(state)) + constant
        return total, share, float(rows @ self.norm.bias) + constant

    def _rows(self, contrast: tuple[int, int]) -> tuple[Tensor, float]:
        """What takes the norm's output to the difference: a (width,) vector, and a constant."""
        first, second = (_row(self.head, token) for token in contrast)
        rows, constant = first[0] - second[0], first[1] - second[1]
        if self.projection is not None:
            weight, bias = _matrix(self.projection)
            constant += float(rows @ bias) if bias is not None else 0.0
            rows = rows @ wide(weight)
        return rows * self.scale, constant * self.scale


def head_path(
    network: Any,
    states: Tensor,
    blocks: set[nn.Module],
    replaced: Callable[[Tensor], AbstractContextManager[None]],
) -> HeadPath:
    """Tries out what follows the last block, whose states (1, n, width) are given. Raises UnattributableError."""
    states = states.reshape(-1, 1, states.shape[-1])
    head = network.get_output_embeddings()
    inside = {part for block in blocks for part in block.modules()}
    calls = list[tuple[nn.Module, Tensor, Tensor]]()
    with Hooks() as hooks, torch.inference_mode():
        for part in network.modules():
            if part is head or (part not in inside and not any(part.children())):
                _record(hooks, part, calls)
        with replaced(states):
            ids = torch.zeros(len(states), 1, dtype=torch.int64, device=states.device)
            logits = wide(network(input_ids=ids).logits).flatten(0, 1)
    norm, normed = next(
        (
            (part, out)
            for part, given, out in calls
            if part is not head and _equal(given, states) and out.shape == given.shape
        ),
        (None, None),
    )
    entering = next((given for part, given, _ in calls if part is head), None)
    if norm is None or normed is None or entering is None:
        raise UnattributableError("its final norm or its head was not found")
    projection = None
    if not _equal(normed, entering):
        projection = next((p for p, given, out in calls if _equal(given, normed) and _equal(out, entering)), None)
        if projection is None:
            raise UnattributableError("something other than a linear layer stands between its final norm and its head")
    raw = wide(next(out for part, _, out in calls if part is head)).flatten(0, 1)
    scale, capped = _scale(raw, logits, network.config.get_text_config(decoder=True))
    path = HeadPath(frozen(norm, states), projection, head, scale, capped)
    _check(path, states.flatten(0, 1), raw * scale)
    return path


def frozen(norm: nn.Module, states: Tensor) -> FrozenNorm:
    """A norm as a linear step. Raises UnattributableError if it is of another kind."""
    width = states.shape[-1]
    draw = torch.Generator().manual_seed(0)
    trial = torch.rand(4, width, generator=draw) + 0.5
    trial = (trial * torch.where(torch.rand(4, width, generator=draw) < 0.5, -1.0, 1.0) * 64).to(states)
    with torch.inference_mode():
        bias = wide(of_output(norm(torch.zeros_like(trial[:1])[None])))[0, 0]
        found = wide(of_output(norm(trial[None])))[0] - bias
    for centred in (False, True):
        inner = wide(trial)
        inner = inner - inner.mean(-1, keepdim=True) if centred else inner
        weight = (found / inner * inner.square().mean(-1, keepdim=True).sqrt()).median(0).values
        expected = weight * inner / inner.square().mean(-1, keepdim=True).sqrt()
        if bool(bias.isfinite().all()) and _close(found, expected, states.dtype):
            return FrozenNorm(norm, weight, bias, centred)
    raise UnattributableError("its final norm is of another kind")


def _check(path: HeadPath, states: Tensor, wanted: Tensor) -> None:
    """Raises UnattributableError unless the steps give the differences that the network gives."""
    tokens = [0, wanted.shape[1] // 2, wanted.shape[1] - 1]
    for state, logits in zip(states, wanted, strict=True):
        for pair in ((tokens[0], tokens[1]), (tokens[1], tokens[2])):
            total, share, constant = path.difference(state, pair)
            expected = float(logits[pair[0]] - logits[pair[1]])
            bound = LINEAR * max(1.0, float(logits.abs().max())) * _coarseness(states.dtype)
            if not (abs(total - expected) <= bound and abs(share(state) + constant - total) <= bound):
                raise UnattributableError("its norm and head are not the linear steps they seem to be")


def _scale(raw: Tensor, logits: Tensor, config: Any) -> tuple[float, bool]:
    """What the head's output is multiplied with, and whether a soft cap follows. Raises UnattributableError."""
    flat, wanted = raw.flatten(), logits.flatten()
    scale = float(flat @ wanted / (flat @ flat))
    dtype = torch.float32
    if _close(wanted, scale * flat, dtype):
        return (1.0 if abs(scale - 1) < 1e-5 else scale), False
    cap = getattr(config, "final_logit_softcapping", None)
    if cap and _close(wanted, torch.tanh(flat / cap) * cap, dtype):
        return 1.0, True
    raise UnattributableError("what it does to its head's output is neither a factor nor a soft cap")


def _record(hooks: Hooks, part: nn.Module, calls: list[tuple[nn.Module, Tensor, Tensor]]) -> None:
    given = list[Tensor]()
    hooks.before(part, lambda entering: given.append(entering.clone()))

    def keep(out: Any) -> None:
        if given and isinstance(out, Tensor):
            calls.append((part, given.pop(), out.clone()))

    hooks.after(part, keep)


def _row(head: Any, token: int) -> tuple[Tensor, float]:
    """A token's row of the head, and its bias."""
    if (widened_row := getattr(head, "widened_row", None)) is not None:  # packed, or adapted
        return wide(widened_row(token)), 0.0 if head.bias is None else float(head.bias[token])
    weight, bias = _matrix(head)
    return wide(weight[token]), 0.0 if bias is None else float(bias[token])


def _matrix(linear: Any) -> tuple[Tensor, Tensor | None]:
    """A linear layer's weight (outputs, width) and bias. Raises UnattributableError if it has no such."""
    weight, bias = getattr(linear, "weight", None), getattr(linear, "bias", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2 or not weight.is_floating_point():
        raise UnattributableError("its head's weights are packed")
    return weight, None if bias is None else wide(bias)


def _equal(some: Tensor, others: Tensor) -> bool:
    return some.shape == others.shape and torch.equal(some, others)


def _coarseness(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps / torch.finfo(torch.float32).eps


def _close(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    bound = LINEAR * float(expected.abs().max()) * _coarseness(dtype)
    return float((found - expected).abs().max()) <= bound
