"""The states within a network at a prompt's last token, and what its own norm and head make of each (logit lens).

States are taken from the blocks themselves, by hooks; the network's own forward computes what follows the last block,
with the blocks replaced. So any architecture made of blocks in a row fits, and whether it does is tried out at load.
"""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
import torch
from torch import Tensor, nn

from inference_server.runtime.attribution import Attribution, attribution_of
from inference_server.runtime.head_path import UnattributableError
from inference_server.runtime.hooks import Hooks, last_row, of_output
from inference_server.runtime.model_probe import LENGTHS, SAME_PROBABILITY
from inference_server.runtime.whole_pass import WholePass
from inference_server.sequence import Trace

MOST_WEIGHTS = 2**20  # attention weights of one answer: 4 MiB as a message, and some 12 MB as JSON
MOST_SCORES = 2**26  # attention scores of one block at a time, where a whole prompt may be computed for its last row

logger = structlog.get_logger(__name__)


Take = Callable[[Tensor, Mapping[int, Tensor]], None]


class OpaqueError(Exception):
    """Why a network's states, or its attention, can't be told."""


@dataclass(frozen=True, slots=True)
class Insight:
    """What can be told of a network; a refusal is empty where all is well."""

    layers: int = 0
    """Blocks; 0 if its states can't be told."""
    layers_refusal: str = ""
    contrast_refusal: str = ""
    attention_refusal: str = ""
    attention_tokens: int = 0
    """The longest prompt whose attention weights are told."""
    capped: bool = False
    """Whether a soft cap follows the head, which contributions leave out."""


UNTOLD = Insight()


class Lens:
    """One network's. One thread at a time."""

    def __init__(self, network: Any, blocks: Sequence[nn.Module], shapes: Sequence[int]) -> None:
        """`shapes`: how many values each block returns, the state first; 0: the state alone."""
        self.attribution: Attribution | None = None
        self.eager = False
        """Whether attention weights come from the network's eager attention, rather than from the paged pass."""
        self._network = network
        self._blocks = blocks
        self._shapes = shapes
        self._options = {"use_cache": False} if "use_cache" in inspect.signature(network.forward).parameters else {}

    @property
    def rows(self) -> int:
        """States to describe: the embedding, and one after each block."""
        return len(self._blocks) + 1

    @torch.inference_mode()
    def logits(self, states: Tensor) -> Tensor:
        """(n, width) states through the network's final norm and head: (n, V) float32 on the CPU."""
        ids = torch.zeros(len(states), 1, dtype=torch.int64, device=states.device)
        with self._replaced(states[:, None]):
            found: Tensor = self._network(input_ids=ids, **self._options).logits
        return found.flatten(0, 1).float().cpu()

    @contextmanager
    def watching(self, trace: Trace, tokens: int) -> Iterator[Take]:
        """Within, passes that end with the last of a prompt's `tokens` leave in `trace` what it asks for.

        Attention weights only if they come from the network itself. What the context gives is for a pass that does not
        go through the network's modules: it takes the states, and what each block's attention adds, by block from 1.
        """
        states, weights = dict[int, Tensor](), dict[int, Tensor]()
        with Hooks() as hooks, contextlib.ExitStack() as stack:
            hooks.entering(self._blocks[0], states, 0, last_row)
            for at, block in enumerate(self._blocks, 1):
                hooks.leaving(block, states, at, last_row)
                for part in block.modules() if trace.attention and self.eager else ():
                    hooks.weighing(part, weights, at)
            parts = self.attribution.watch(hooks) if trace.contrast and self.attribution else {}
            if trace.attention and self.eager:
                stack.enter_context(_eagerly(self._network))
            yield partial(self._take, trace)
        if len(states) < self.rows:
            return  # the pass did not get so far, or not this way
        self._take(trace, torch.stack([states[at] for at in range(self.rows)]), parts)
        if trace.attention and self.eager:
            trace.weights = [padded(weights[at], tokens).tolist() for at in sorted(weights)]

    def _take(self, trace: Trace, states: Tensor, added: Mapping[int, Tensor]) -> None:
        trace.states = states
        if self.attribution and trace.contrast:
            trace.difference, trace.contributions = self.attribution.parts(states, added, trace.contrast)

    @contextmanager
    def _replaced(self, states: Tensor) -> Iterator[None]:
        """Within, every block gives these states, whatever it gets."""
        before = [vars(block).get("forward") for block in self._blocks]
        for block, size in zip(self._blocks, self._shapes, strict=True):
            given = (states, *[None] * (size - 1)) if size else states
            block.forward = _giving(given)
        try:
            yield
        finally:
            for block, own in zip(self._blocks, before, strict=True):
                del block.forward
                if own is not None:
                    block.forward = own


def _giving(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def padded(weights: Tensor, tokens: int) -> Tensor:
    """(heads, seen) as (heads, tokens) float32 on the CPU: a cache of a sliding window holds only the last of them."""
    return nn.functional.pad(weights.float().cpu(), (tokens - weights.shape[1], 0))


@torch.inference_mode()
def build_lens(network: Any, passes: WholePass, *, paged: bool, longest: int) -> tuple[Lens | None, Insight]:
    """A network's lens, if it can have one, and what it can tell. `paged`: attention is that of the paged pass."""
    ids = [1 + 5 * at % 7 for at in range(max(LENGTHS))][:longest]
    try:
        lens = _lens(network, passes, ids)
    except Exception as fault:  # whatever an architecture does with other blocks
        refusal = f"Layers does not support {type(network).__name__}: {_words(fault)}"
        logger.debug("no lens", reason=repr(fault)[:300])
        return None, Insight(0, refusal, refusal, refusal)
    contrast = attention = ""
    heads = int(getattr(network.config.get_text_config(decoder=True), "num_attention_heads", 1))
    most = MOST_WEIGHTS // (heads * (lens.rows - 1))
    try:
        lens.attribution = attribution_of(network, lens._blocks, passes, ids, lens._replaced)
    except Exception as fault:
        contrast = f"contributions are not supported for {type(network).__name__}: {_words(fault)}"
        logger.debug("no attribution", reason=repr(fault)[:300])
    lens.eager = not paged
    if lens.eager:
        most = min(most, math.isqrt(MOST_SCORES // heads))
        try:
            _check_attention(lens, passes, ids)
        except Exception as fault:
            attention = f"attention weights are not supported for {type(network).__name__}: {_words(fault)}"
            logger.debug("no attention weights", reason=repr(fault)[:300])
    capped = lens.attribution is not None and lens.attribution.capped
    return lens, Insight(lens.rows - 1, "", contrast, attention, most, capped)


def _words(fault: Exception) -> str:
    return str(fault) if isinstance(fault, OpaqueError | UnattributableError) else "its layers work in another way"


def _lens(network: Any, passes: WholePass, ids: Sequence[int]) -> Lens:
    """Raises OpaqueError if its blocks are not found, or don't lead to its logits."""
    blocks = _blocks(network)
    calls = list[tuple[nn.Module, Any]]()

    def note(block: nn.Module) -> Callable[[Any], None]:
        return lambda out: calls.append((block, out))

    with Hooks() as hooks:
        for block in blocks:
            hooks.after(block, note(block))
        wanted = passes.last_logits(ids)
    if [block for block, _ in calls] != blocks:
        raise OpaqueError("its blocks do not run once each, in a row")
    lens = Lens(network, blocks, [len(out) if isinstance(out, tuple) else 0 for _, out in calls])
    found = lens.logits(last_row(of_output(calls[-1][1]))[None])[0]
    if not _same(found, wanted, lens):
        raise OpaqueError("what follows its last block could not be computed by itself")
    return lens


def _same(found: Tensor, wanted: Tensor, lens: Lens) -> bool:
    """Whether logits are the same but for rounding in the network's dtype."""
    dtype = next(each.dtype for each in lens._network.parameters() if each.is_floating_point())  # not packed
    step = torch.finfo(dtype).eps * float(wanted.abs().max())
    return float((found.softmax(0) - wanted.softmax(0)).abs().max()) <= max(SAME_PROBABILITY, step)


def _blocks(network: Any) -> list[nn.Module]:
    """The list of blocks."""
    config = network.config.get_text_config(decoder=True)
    lists = [part for part in network.modules() if isinstance(part, nn.ModuleList)]
    found = next((part for part in lists if len(part) == getattr(config, "num_hidden_layers", 0)), None)
    if found is None:
        raise OpaqueError("its blocks were not found")
    return list(found)


def _check_attention(lens: Lens, passes: WholePass, ids: Sequence[int]) -> None:
    """Raises OpaqueError unless every block tells attention weights, and its answer stays the same."""
    trace = Trace(lens.rows, attention=True)
    wanted = passes.last_logits(ids)
    with lens.watching(trace, len(ids)):
        found = passes.last_logits(ids)
    if len(trace.weights) != lens.rows - 1:
        raise OpaqueError("not all of its blocks have attention weights")
    if not _same(found, wanted, lens):
        raise OpaqueError("with its eager attention, which tells its weights, it gives another answer")


@contextmanager
def _eagerly(network: Any) -> Iterator[None]:
    """Within, the network uses its eager attention, which computes its weights."""
    own, config = network.config._attn_implementation, network.config
    change = network.set_attn_implementation
    if not network._can_set_attn_implementation():  # transformers would only warn; its modules read the configuration

        def change(name: str) -> None:
            config._attn_implementation_internal = name

    change("eager")
    try:
        yield
    finally:
        change(own)
