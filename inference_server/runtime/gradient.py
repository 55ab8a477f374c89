"""Gradient times input of a prompt's embeddings, in one backward pass through the network as it is.

Blocks are computed again on the way back, so memory grows with the embeddings of each block's input alone. The pass
runs as a Stepwise computation: clicks go between its slices.
"""

import inspect
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import structlog
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from inference_server.errors import InvalidField
from inference_server.host.stepwise import Stepwise, pause
from inference_server.interruption import Interruption
from inference_server.runtime.hooks import wide
from inference_server.runtime.whole_pass import no_context

MOST_BYTES = 1 << 30  # of one pass
TRIED = 6  # tokens of the prompt that is tried out first
STEPS = (0.02, 0.005, 0.001)  # of the embeddings' length, for the difference that is compared with the gradient
DIRECTIONS = 4  # other than the gradient's own
SAME = 0.1  # the most that the two may differ, relative to what is usual in that direction
MISSING = "gradient: not available for this model: {}; use hide or take_out"

logger = structlog.get_logger(__name__)


class Gradient:
    """One network's. The first pass checks that gradients are right, by finite differences."""

    def __init__(
        self,
        network: Any,
        device: torch.device,
        *,
        selects_rows: bool,
        context: Callable[[int], AbstractContextManager[None]] = no_context,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`selects_rows` as in WholePass. A pass of n tokens runs within `context(n)`, with about `most_bytes`."""
        self._network = network
        self._device = device
        self._context = context
        self._most_bytes = most_bytes
        takes = inspect.signature(network.forward).parameters
        self._options: dict[str, Any] = {"use_cache": False} if "use_cache" in takes else {}
        if selects_rows:
            self._options["logits_to_keep"] = 1
        self._fault = None if "inputs_embeds" in takes else "it takes no embeddings"
        self._ready = False
        self._turn = threading.Lock()  # one pass at a time, for its memory

    @property
    def max_tokens(self) -> int:
        """The longest prompt whose pass keeps to `most_bytes`."""
        config = self._network.config.get_text_config(decoder=True)
        layers, width, heads = config.num_hidden_layers, config.hidden_size, getattr(config, "num_attention_heads", 1)
        kept, scores = 4 * width * (layers + 30), 12 * heads  # bytes for each token, and for each pair of them
        return int(((kept**2 + 4 * scores * self._most_bytes) ** 0.5 - kept) / (2 * scores))

    def begin(self, token_ids: Sequence[int], target: int, contrast: int | None) -> "GradientPass":
        """A pass that gives gradient · input of each token, for the log-odds as log_odds defines them.

        Raises InvalidField for a model or a prompt that it is not available for; so does the pass itself.
        """
        if fault := self._fault:
            raise InvalidField("method", MISSING.format(fault))
        if len(token_ids) > self.max_tokens:
            fault = f"gradient: {len(token_ids):,} tokens; this model's gradients take at most {self.max_tokens:,}"
            raise InvalidField("method", f"{fault}. Shorten the text, or use hide or take_out")
        return GradientPass(self._turn, partial(self._work, token_ids, target, contrast))

    def _work(self, token_ids: Sequence[int], target: int, contrast: int | None) -> list[float]:
        if not self._ready:
            self._fault = self._try_out()
            self._ready = True
        if self._fault is not None:
            raise InvalidField("method", MISSING.format(self._fault))
        embeddings = self._embed(token_ids)
        return (self._backward(embeddings, target, contrast) * embeddings)[0].sum(-1).tolist()

    def _try_out(self) -> str | None:
        """Prepares the network; what is wrong with its gradients, if anything."""
        self._network.requires_grad_(False)  # no pass keeps what only the weights' gradients would need
        for block in self._blocks():
            block.forward = _checkpointed(block.forward)
        size = self._network.config.get_text_config(decoder=True).vocab_size
        ids = [1 + 7 * at % (size - 1) for at in range(TRIED)]
        try:
            embeddings = self._embed(ids)
            logits = self._logits(embeddings)
            if not logits.dtype == embeddings.dtype == torch.float32:
                return f"it computes in {str(logits.dtype).removeprefix('torch.')}, not in float32"
            target = int(logits.argmax())
            gradient = self._backward(embeddings, target, None)
            right = any(self._agrees(embeddings, gradient, target, step) for step in STEPS)
        except Exception as fault:  # whatever an architecture raises for what it does not support
            logger.debug("no gradients", architecture=type(self._network).__name__, reason=str(fault)[:300])
            return "it can't be differentiated"
        return None if right else "its gradients differ from finite differences"

    def _agrees(self, embeddings: Tensor, gradient: Tensor, target: int, step: float) -> bool:
        """Whether steps along the gradient, and in some other directions, change the log-odds by as much as it says."""
        draw = torch.Generator().manual_seed(0)
        chance = gradient.numel() ** -0.5  # how far a random direction goes along the gradient
        others = [(torch.randn(gradient.shape, generator=draw).to(gradient.device), chance) for _ in range(DIRECTIONS)]
        for direction, share in ((gradient, 1.0), *others):
            along = direction * (step * embeddings.norm() / direction.norm())
            found = self._odds(embeddings + along, target) - self._odds(embeddings - along, target)
            allowed = SAME * share * 2 * float(gradient.norm() * along.norm())
            if not abs(found - 2 * float((gradient * along).sum())) <= allowed:
                return False
        return True

    def _blocks(self) -> list[nn.Module]:
        """The network's blocks; none if they are not found."""
        count = self._network.config.get_text_config(decoder=True).num_hidden_layers
        lists = [part for part in self._network.modules() if isinstance(part, nn.ModuleList) and len(part) == count]
        return list(lists[0]) if lists else []

    def _embed(self, token_ids: Sequence[int]) -> Tensor:
        with torch.no_grad():
            found: Tensor = self._network.get_input_embeddings()(torch.tensor([token_ids], device=self._device))
            return found.clone()

    def _backward(self, embeddings: Tensor, target: int, contrast: int | None) -> Tensor:
        """The gradient of the log-odds, in the form of the embeddings (1, n, width)."""
        x = embeddings.clone().requires_grad_()
        with self._context(x.shape[1]), torch.enable_grad(), torch.autograd.set_multithreading_enabled(False):
            (gradient,) = torch.autograd.grad(_odds(self._forward(x), target, contrast), x)
        return gradient

    def _logits(self, embeddings: Tensor) -> Tensor:
        with self._context(embeddings.shape[1]), torch.no_grad():
            return self._forward(embeddings)

    def _odds(self, embeddings: Tensor, target: int) -> float:
        return float(_odds(wide(self._logits(embeddings)), target, None))

    def _forward(self, embeddings: Tensor) -> Tensor:
        """The (V,) logits after the last token."""
        found: Tensor = self._network(inputs_embeds=embeddings, **self._options).logits[0, -1]
        return found


class GradientPass:
    """One prompt's pass, done slice by slice."""

    def __init__(self, turn: threading.Lock, work: Callable[[], list[float]]) -> None:
        """It begins once `turn` is free."""
        self._turn = turn
        self._work = Stepwise(partial(self._hold, work))
        self._begun = False

    def step(self, seconds: float, interruption: Interruption | None = None) -> list[float] | None:
        """As Stepwise.step; does nothing while another pass has not ended."""
        if not self._begun and self._turn.locked():
            return None
        self._begun = True
        return self._work.step(seconds, interruption)

    def close(self) -> None:
        """As Stepwise.close."""
        self._work.close()

    def _hold(self, work: Callable[[], list[float]]) -> list[float]:
        with self._turn:
            return work()


def _checkpointed(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A block's forward that can pause. For gradients it keeps its inputs alone, and is computed again later."""

    def compute(*arguments: Any, **named: Any) -> Any:
        pause()
        return forward(*arguments, **named)

    def checkpointed(*arguments: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
            return compute(*arguments, **named)
        return checkpoint(compute, *arguments, use_reentrant=False, preserve_rng_state=False, **named)

    return checkpointed


def _odds(logits: Tensor, target: int, contrast: int | None) -> Tensor:
    """As log_odds, with a gradient."""
    if contrast is not None:
        return logits[target] - logits[contrast]
    others = torch.cat((logits[:target], logits[target + 1 :]))
    return logits[target] - others.logsumexp(0)
