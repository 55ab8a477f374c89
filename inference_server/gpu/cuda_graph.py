"""Repeating work over the same tensors, on CUDA devices as graphs."""

from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[], Tensor]
"""Reads tensors that stay in place, and returns one shape."""

Record = Callable[[Work], Work]
"""From work to a faster way to do it, whose output is overwritten by the next call."""


def repeated(work: Work) -> Work:
    """Does the work itself each time: for devices without graphs."""
    output = work().clone()

    def again() -> Tensor:
        return output.copy_(work())

    return again


class Graphs:
    """Captures work on a CUDA device, to launch it at once instead of kernel by kernel."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()  # graphs run one at a time and share their memory

    def __call__(self, work: Work) -> Work:
        """Raises an exception of any kind if the work can't be captured, for instance because it synchronises."""
        here = torch.cuda.current_stream(self._device)
        aside = torch.cuda.Stream(self._device)
        aside.wait_stream(here)
        with torch.cuda.stream(aside):  # lazy initialisation must not be captured
            for _ in range(2):
                work()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            graph, pool=self._pool, capture_error_mode="thread_local"
        ):  # another thread may load a model
            output = work()

        def again() -> Tensor:
            graph.replay()
            return output

        return again


def free_bytes(device: torch.device) -> int | None:
    """A CUDA device's free memory; None for other devices, which capture nothing."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def recorder(device: torch.device) -> Record:
    """The fastest way of a device."""
    return Graphs(device) if device.type == "cuda" else repeated
