"""Compiles all kernels ahead of time for this processor: `python -m inference_server.cpu.kernels`."""

import sys

from inference_server.cpu.kernels import team
from inference_server.cpu.kernels.objects import Kernel
from inference_server.cpu.kernels.processor import ProcessorError


def main() -> None:
    """Loads or compiles each, once per kind of weights."""
    for kernel in Kernel:
        for kind in kernel.kinds:
            try:
                _ = team.body(kernel) if kind is None else team.function(kernel, kind)
            except ProcessorError as fault:
                sys.stderr.write(f"left out {kernel} {kind}: {fault}\n")


if __name__ == "__main__":
    main()
