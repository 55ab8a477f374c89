"""Kernels as object code in files, which LLVM loads; numba is imported only to compile what no file has."""

import contextlib
import os
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any

import llvmlite.binding as llvm
import structlog

from inference_server.cpu.kernels import processor
from inference_server.cpu.kernels.layouts import KINDS, LAYOUTS

HERE = Path(__file__).parent
SYMBOL = "next_token_kernel"  # the name of every kernel in its object code

logger = structlog.get_logger(__name__)
_lock = Lock()
_engines: list[Any] = []  # which own the loaded code


def folders() -> Iterator[Path]:
    """Where files are looked for, and written: to the first that can be written to."""
    yield HERE / "__pycache__"
    with contextlib.suppress(RuntimeError):  # a user without a home
        cache_home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        yield cache_home / "next-token-visualizer/kernels"


class Kernel(StrEnum):
    """The module and the name of a function that numba compiles."""

    DECODER = "decoder:decoder"
    ATTENTION = "rows:rows"
    PRODUCT = "product:shared"
    WIDENING = "product:shared_widening"
    PRODUCT_OF_KIND = "product:of_kind"
    WIDENING_OF_KIND = "product:widening_of_kind"
    MOMENTS = "moments:moments"
    WEIGHTS = "softmax:weights"
    BINS = "softmax:bins"

    @property
    def kinds(self) -> tuple[int | None, ...]:
        """The kinds of weights for which it is compiled, each by itself."""
        return {Kernel.PRODUCT_OF_KIND: KINDS, Kernel.WIDENING_OF_KIND: tuple(LAYOUTS)}.get(self, (None,))


def address(kernel: Kernel, kind: int | None = None) -> int:
    """The address of a kernel, loaded from a file or compiled for some seconds.

    The symbols next_token_thread, next_token_threads and next_token_meet must be known to LLVM.
    """
    name = f"{kernel.replace(':', '.')}{'' if kind is None else f'.{kind}'}.{_key()}.o"
    with _lock:
        return _load(_read(name) or _compile(kernel, kind, name))


def _read(name: str) -> bytes | None:
    """A whole file's object code: LLVM would end the process at a damaged one, or find no kernel in it."""
    for folder in folders():
        with contextlib.suppress(OSError):
            written = (folder / name).read_bytes()
            code = written[: -sha256().digest_size]
            if _sealed(code) == written:
                return code
    return None


def _sealed(code: bytes) -> bytes:
    """Object code as it is written: followed by its digest."""
    return code + sha256(code).digest()


def _compile(kernel: Kernel, kind: int | None, name: str) -> bytes:
    from inference_server.cpu.kernels import compiling  # imports numba

    began = perf_counter()
    code = compiling.compiled(kernel, kind)
    logger.info("kernel compiled", kernel=kernel.value, kind=kind, seconds=round(perf_counter() - began, 1))
    for folder in folders():
        with contextlib.suppress(OSError):
            _write(folder / name, _sealed(code))
            break
    return code


def _write(path: Path, content: bytes) -> None:
    """Writes a file that other processes may read or write at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)


@cache
def _key() -> str:
    """A hash of all that object code depends on: the kernels' sources, what compiles them, and the processor."""
    found = sha256(b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py"))))
    found.update(f"{version('numba')} {version('llvmlite')} {processor.described()}".encode())
    return found.hexdigest()[:16]


def _load(code: bytes) -> int:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(SYMBOL))
