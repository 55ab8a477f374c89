"""Forward passes over a whole prompt, without any cache. Logits leave as float32 rows on the CPU."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

LOGITS_BYTES = 64 * 2**20  # of logits in memory at a time while a text is scored


def no_context(_: int) -> AbstractContextManager[None]:
    """What most passes run in."""
    return contextlib.nullcontext()


class WholePass:
    """The passes of one network. One thread at a time."""

    def __init__(
        self,
        network: Any,
        device: torch.device,
        *,
        selects_rows: bool,
        vocab_size: int = 1,
        context: Callable[[int], AbstractContextManager[None]] = no_context,
    ) -> None:
        """`selects_rows`: whether the network honours `logits_to_keep`. A pass of n tokens runs within `context(n)`."""
        self._vocab_size = vocab_size
        self._network = network
        self._device = device
        self._selects_rows = selects_rows
        self._context = context
        self.max_rows = max(1, LOGITS_BYTES // (4 * vocab_size))
        """The most rows of logits to have in memory at a time."""
        self._options = {"use_cache": False} if "use_cache" in inspect.signature(network.forward).parameters else {}

    @torch.inference_mode()
    def last_logits(self, token_ids: Sequence[int]) -> Tensor:
        """The (V,) logits after a prompt of at least one token."""
        return self.logits(token_ids, torch.tensor([len(token_ids) - 1]))[0].float().cpu().clone()  # without other rows

    @torch.inference_mode()
    def each_logits(self, token_ids: Sequence[int], receive: Callable[[Tensor], object]) -> None:
        """Calls `receive` with the logits (n, V) after the next n tokens, until all were given.

        At most LOGITS_BYTES of logits are in memory at a time, unless the network computes every position anyway.
        """
        count = len(token_ids)
        step = self.max_rows if self._selects_rows else count
        with self.body_computed_once():
            for first in range(0, count, step):
                receive(self.logits(token_ids, torch.arange(first, min(first + step, count))).float().cpu())

    @torch.inference_mode()
    def logits(self, token_ids: Sequence[int], positions: Tensor) -> Tensor:
        """The logits (n, V) at (n,) positions of a prompt, in the network's own dtype, on its device."""
        positions = positions.to(self._device)
        given: dict[str, Any] = {"input_ids": torch.tensor([token_ids], device=self._device), **self._options}
        if self._selects_rows:
            given["logits_to_keep"] = positions
        with self._context(len(token_ids)):
            found: Tensor = self._network(**given).logits[0]
        return found if self._selects_rows else found[positions]

    @contextlib.contextmanager
    def body_computed_once(self) -> Iterator[None]:
        """Within, the layers below the head run once; further passes of the same prompt only run the head."""
        body = getattr(self._network, self._network.base_model_prefix, None)
        if not isinstance(body, torch.nn.Module):
            yield
            return
        compute, replaced, computed = body.forward, vars(body).get("forward"), list[Any]()

        def forward(*args: Any, **kwargs: Any) -> Any:
            if not computed:
                computed.append(compute(*args, **kwargs))
            return computed[0]

        body.forward = forward
        try:
            yield
        finally:
            del body.forward
            if replaced is not None:
                body.forward = replaced
