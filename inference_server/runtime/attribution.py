"""Direct logit attribution: what each attention and each MLP adds to the difference between two tokens' logits.

The state after the last block is the embedding plus what every attention and MLP added to it. With the final norm's
scale frozen at its value for that state, norm and head are linear, so each part has a share of the difference. How a
block adds its parts (in turn or side by side, after a norm of their own, multiplied) is found by numbers at load: some
two of its modules' outputs, each times a constant, are what the block adds.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from inference_server.runtime.head_path import HeadPath, UnattributableError, head_path
from inference_server.runtime.hooks import Hooks, last_row, wide
from inference_server.runtime.whole_pass import WholePass

ATTENTION = re.compile(r"attn|attention")
ROUNDINGS = 40  # of the dtype: how far a sum may be off


@dataclass(frozen=True, slots=True)
class Adding:
    """The module whose output, times a factor, is what a block's attention adds; the block's MLP adds the rest."""

    module: nn.Module
    factor: float


class Attribution:
    """One network's."""

    def __init__(self, adding: Sequence[Adding], path: HeadPath) -> None:
        self._adding = adding
        self._path = path

    @property
    def capped(self) -> bool:
        """Whether a soft cap follows, which the difference does not include."""
        return self._path.capped

    def watch(self, hooks: Hooks) -> Mapping[int, Tensor]:
        """What each block's attention adds for the last token, by block from 1, once a pass has run."""
        found = dict[int, Tensor]()
        for at, each in enumerate(self._adding, 1):
            hooks.leaving(each.module, found, at, last_row)
        return found

    @torch.inference_mode()
    def parts(
        self, states: Tensor, added: Mapping[int, Tensor], contrast: tuple[int, int]
    ) -> tuple[float, list[tuple[int, str, float]]]:
        """The difference between two tokens' logits, and (block, part, share): they sum to it."""
        difference, share, constant = self._path.difference(states[-1], contrast)
        exact = wide(states)
        found = [(0, "embedding", share(exact[0]))]
        for at in range(1, len(states)):
            attention = wide(added[at]) * self._adding[at - 1].factor
            found.append((at, "attention", share(attention)))
            found.append((at, "mlp", share(exact[at] - exact[at - 1] - attention)))
        if self._path.biased:
            found.append((len(states) - 1, "bias", constant))
        return difference, found


def attribution_of(
    network: Any,
    blocks: Sequence[nn.Module],
    passes: WholePass,
    ids: Sequence[int],
    replaced: Callable[[Tensor], AbstractContextManager[None]],
) -> Attribution:
    """Tries a network out. Raises UnattributableError if its state is not such a sum, or norm and head not linear."""
    entering, leaving = dict[int, Tensor](), dict[int, Tensor]()
    inner = [{name: part for name, part in block.named_modules() if name} for block in blocks]
    outputs: list[dict[str, list[Any]]] = [{} for _ in blocks]

    def note(of_block: dict[str, list[Any]], name: str) -> Callable[[Any], None]:
        return lambda out: of_block.setdefault(name, []).append(_copy(out))

    with Hooks() as hooks:
        for at, block in enumerate(blocks):
            hooks.entering(block, entering, at, Tensor.clone)
            hooks.leaving(block, leaving, at, Tensor.clone)
            for name, part in inner[at].items():
                hooks.after(part, note(outputs[at], name))
        passes.last_logits(ids)
    for at in range(1, len(blocks)):
        if not torch.equal(leaving[at - 1], entering[at]):
            raise UnattributableError("something changes the state between its blocks")
    adding, last = list[Adding](), ("", "")
    for at in range(len(blocks)):
        change = (wide(leaving[at]) - wide(entering[at])).flatten()
        size = float(leaving[at].abs().max())
        tolerance = ROUNDINGS * torch.finfo(leaving[at].dtype).eps * size
        usable = {name: found[0] for name, found in outputs[at].items() if len(found) == 1 and _fits(found[0], change)}
        last, factor = _pair(change, usable, tolerance, last)
        adding.append(Adding(inner[at][last[0]], factor))
    return Attribution(adding, head_path(network, leaving[len(blocks) - 1], set(blocks), replaced))


def _pair(
    change: Tensor, outputs: Mapping[str, Tensor], tolerance: float, likely: tuple[str, str]
) -> tuple[tuple[str, str], float]:
    """The names of the attention's and the MLP's output that explain a block's change, and the first one's factor."""
    pairs = [(a, b) for a, b in combinations(outputs, 2) if ATTENTION.search(a)]
    for pair in sorted(pairs, key=lambda pair: pair != likely):
        both = torch.stack([wide(outputs[name]).flatten() for name in pair], 1)
        factors = torch.linalg.lstsq(both, change[:, None]).solution[:, 0]
        if float((both @ factors - change).abs().max()) <= tolerance:
            return pair, _rounded(float(factors[0]))
    raise UnattributableError("its blocks do not add one attention and one MLP to the state")


def _rounded(factor: float) -> float:
    """1 where it is 1 but for rounding."""
    return 1.0 if abs(factor - 1) < 1e-4 else factor


def _copy(out: Any) -> Any:
    """A module's output; some networks add to it in place."""
    found = out[0] if isinstance(out, tuple) and out else out
    return found.clone() if isinstance(found, Tensor) else None


def _fits(output: Any, change: Tensor) -> bool:
    return isinstance(output, Tensor) and output.is_floating_point() and output.numel() == change.numel()
