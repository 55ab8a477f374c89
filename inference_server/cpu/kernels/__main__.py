"""Compiles all kernels into NUMBA_CACHE_DIR ahead of time: `python -m inference_server.cpu.kernels`."""

import inspect
import sys
from importlib import import_module
from pkgutil import iter_modules

from inference_server.cpu import kernels
from inference_server.cpu.kernels.tiles import BFLOAT16, FLOAT16, FLOAT32


def main() -> None:
    """Calls every *_body function, once per weight dtype if it takes one."""
    for module in iter_modules(kernels.__path__, f"{kernels.__name__}."):
        if module.name.endswith(".__main__"):
            continue
        for name, make in vars(import_module(module.name)).items():
            if name.endswith("_body") and make.__module__ == module.name:
                kinds = (
                    [(kind,) for kind in (BFLOAT16, FLOAT16, FLOAT32)] if inspect.signature(make).parameters else [()]
                )
                for arguments in kinds:
                    make(*arguments)
                    sys.stderr.write(f"compiled {name}{arguments}\n")


if __name__ == "__main__":
    main()
