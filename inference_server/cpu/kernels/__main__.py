"""Compiles all kernels into NUMBA_CACHE_DIR ahead of time: `python -m inference_server.cpu.kernels`."""

import sys
from importlib import import_module
from pkgutil import iter_modules

from inference_server.cpu import kernels
from inference_server.cpu.kernels.blocks import LAYOUTS
from inference_server.cpu.kernels.kinds import KINDS
from inference_server.cpu.kernels.tiles import ProcessorError


def main() -> None:
    """Calls every *_body function, and every *_function once per kind of weights."""
    for module in iter_modules(kernels.__path__, f"{kernels.__name__}."):
        if module.name.endswith(".__main__"):
            continue
        for name, make in vars(import_module(module.name)).items():
            if getattr(make, "__module__", "") != module.name or not name.endswith(("_body", "_function")):
                continue
            kinds = LAYOUTS if name.startswith("widen") else KINDS
            for arguments in [(kind,) for kind in kinds] if name.endswith("_function") else [()]:
                try:
                    make(*arguments)
                except ProcessorError as fault:
                    sys.stderr.write(f"left out {name}{arguments}: {fault}\n")
                else:
                    sys.stderr.write(f"compiled {name}{arguments}\n")


if __name__ == "__main__":
    main()
