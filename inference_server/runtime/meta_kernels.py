"""Leaves out torch's kernels for tensors without memory that are written in Python, until one is needed.

To import them takes as long as half of torch. They only say of what shape and dtype an operation's result is; most
networks are built on the meta device without any, by the kernels that torch has in C++. Where one is missing, torch
raises NotImplementedError.
"""

import sys
import threading
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

MODULE = "torch._meta_registrations"
OF_GENERATORS = "torch._prims.rng_prims"  # imported with them; no torch.Generator can be made before
_lock = threading.Lock()

Built = TypeVar("Built")


class StandIn(ModuleType):
    """In the place of their module; whoever asks for something in it gets the real one's."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        register()
        return getattr(sys.modules[MODULE], name)


def import_torch() -> None:
    """Imports torch without them, unless there is an accelerator, or torch is imported already."""
    if "torch" in sys.modules:
        return
    sys.modules[MODULE] = StandIn(MODULE)
    import torch

    if torch.accelerator.is_available():  # on these, nothing was tried without
        register()
    else:
        import_module(OF_GENERATORS)


def built(make: Callable[[], Built]) -> Built:
    """What a function builds on the meta device; if that fails without these kernels, it is called again with them."""
    left_out = isinstance(sys.modules.get(MODULE), StandIn)
    try:
        return make()
    except Exception:  # an architecture may turn torch's NotImplementedError into anything
        if not left_out:
            raise
    register()
    return make()


def register() -> None:
    """Imports them, unless that was done before."""
    with _lock:  # not while importing, which has locks of its own
        if isinstance(sys.modules.get(MODULE), StandIn):
            del sys.modules[MODULE]
    import_module(MODULE)  # or waits for another thread that does
