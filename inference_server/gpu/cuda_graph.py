"""Computing one thing again and again over the same tensors. Knows neither models nor what is computed."""

from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[], Tensor]
"""Reads tensors that stay where they are, and gives the same shape each time."""

Record = Callable[[Work], Work]
"""From work to a quicker way to do it; what that gives is overwritten the next time."""


def repeated(work: Work) -> Work:
    """Does the work itself each time: what a device does that records nothing."""
    output = work().clone()

    def again() -> Tensor:
        return output.copy_(work())

    return again


class Graphs:
    """Records work on a CUDA device: one launch instead of one for each of its kernels."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()  # graphs run one at a time and share what they work in

    def __call__(self, work: Work) -> Work:
        """Raises an exception of any kind where the work can't be recorded, say because it waits for its numbers."""
        here = torch.cuda.current_stream(self._device)
        aside = torch.cuda.Stream(self._device)
        aside.wait_stream(here)
        with torch.cuda.stream(aside):  # whatever is only done at the first time must not be recorded
            for _ in range(2):
                work()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):  # others may load a model
            output = work()

        def again() -> Tensor:
            graph.replay()
            return output

        return again


def free_bytes(device: torch.device) -> int | None:
    """Of a CUDA device's memory, what nobody has taken; None of others, where recording takes none."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def recorder(device: torch.device) -> Record:
    """The quickest way of a device."""
    return Graphs(device) if device.type == "cuda" else repeated
