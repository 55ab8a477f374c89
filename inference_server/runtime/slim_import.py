"""Imports transformers' networks without torch's compiler and its distributed tensors, which take as long again.

transformers and torch mark functions for the compiler, and check tensors for being distributed, which imports both.
Nothing here compiles or distributes. Whoever asks for more of the compiler than its marks gets the real one.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import transformers
from transformers.utils import import_utils

COMPILER = "torch._dynamo"
ATTRIBUTE = "_dynamo"
MARKS = frozenset({"allow_in_graph", "assume_constant_result", "disable", "mark_static_address"})
STANDALONE = frozenset({"config", "_trace_wrapped_higher_order_op"})  # its modules that import nothing else of it
NETWORKS = ("modeling_utils", "masking_utils", "generation.utils")
"""The modules of transformers that every network imports."""


class StandIn(ModuleType):
    """The compiler's module until it is needed: its marks leave functions as they are."""

    def __init__(self) -> None:
        super().__init__(COMPILER)
        self.__path__ = [f"{folder}/{ATTRIBUTE}" for folder in torch.__path__]
        self._lock = threading.Lock()
        self._submodules = Submodules(self)

    def put(self) -> None:
        """In the compiler's place."""
        sys.modules[COMPILER] = self
        vars(torch)[ATTRIBUTE] = self  # setattr would ask torch for its own first, which imports it
        sys.meta_path.insert(0, self._submodules)

    def make_way(self) -> ModuleType:
        """The compiler itself, imported."""
        with self._lock:  # not while importing, which has locks of its own
            if sys.modules.get(COMPILER) is self:
                sys.meta_path.remove(self._submodules)
                del sys.modules[COMPILER], vars(torch)[ATTRIBUTE]
        compiler = import_module(COMPILER)
        for name in STANDALONE & vars(self).keys():
            setattr(compiler, name, getattr(self, name))
        return compiler

    def __getattr__(self, name: str) -> Any:
        if name in MARKS:
            return unmarked
        if name in STANDALONE:
            return import_module(f"{COMPILER}.{name}")
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.make_way(), name)


class Submodules:
    """Has the compiler itself imported before one of its modules is."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As importlib's finders: a module that the compiler itself has imported by then is found as it is."""
        package, _, module = name.rpartition(".")
        if package != COMPILER or module in STANDALONE:
            return None
        self._stand_in.make_way()
        return Imported(sys.modules[name]).spec if name in sys.modules else None


class Imported(Loader):
    """Loads a module as it was imported a moment ago."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__
        self.spec = module.__spec__ = spec_from_loader(module.__name__, self)  # importlib takes the module's own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """As importlib's loaders."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """As importlib's loaders."""
        module.__spec__ = self._spec


def unmarked(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """A mark for the compiler, with or without arguments, that marks nothing."""
    return function or unmarked


def networks() -> None:
    """Imports what is common to transformers' networks. Call it before anything else imports them."""
    if COMPILER not in sys.modules:
        StandIn().put()
    with _undistributed(), _read_once():
        for name in NETWORKS:
            import_module(f"transformers.{name}")


@contextlib.contextmanager
def _read_once() -> Iterator[None]:
    """Within, what transformers.models holds is taken from what transformers holds, not read from 3,000 files again."""
    module: Any = import_utils
    define, models = module.define_import_structure, Path(transformers.__path__[0]) / "models"

    def known(module_path: str, prefix: str | None = None) -> Any:
        if Path(module_path) != models / "__init__.py" or prefix is not None:
            return define(module_path, prefix)
        found = dict[Any, dict[str, Any]]()
        for backends, modules in define(models, prefix="models").items():
            inner = {name.partition(".")[2]: held for name, held in modules.items() if name.startswith("models.")}
            found[backends] = inner
        return found

    module.define_import_structure = known
    try:
        yield
    finally:
        module.define_import_structure = define


@contextlib.contextmanager
def _undistributed() -> Iterator[None]:
    """Within, torch says that it was built without its distributed part, as it is on some machines."""
    is_available = torch.distributed.is_available
    torch.distributed.is_available = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_available = is_available
