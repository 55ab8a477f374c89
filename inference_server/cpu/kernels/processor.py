"""The processor that kernels are compiled for."""

import os
import platform

import llvmlite.binding

from inference_server.cpu.kernels.layouts import BFLOAT16, FLOAT32

X86 = ("x86_64", "AMD64")
EXTENSIONS = {"fma": "FMA", "f16c": "F16C"}
LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
"""Numbers in a vector."""


class ProcessorError(Exception):
    """The kernels need instructions that this processor lacks."""


def require(kind: int) -> None:
    """Raises ProcessorError for an x86 processor on which the products of a kind of weights don't pay off or compile.

    LLVM replaces FMA by a slow function, and F16C, which widens float16, by one that isn't there: it ends the process.
    """
    if platform.machine() not in X86:
        return
    for name in ("fma",) if kind in (BFLOAT16, FLOAT32) else ("fma", "f16c"):
        if not has_feature(name):
            raise ProcessorError(f"this processor has no {EXTENSIONS[name]} instructions")


def has_feature(name: str) -> bool:
    """Whether numba compiles for a processor with a feature, by LLVM's name."""
    forced = os.environ.get("NUMBA_CPU_FEATURES")
    return bool(llvmlite.binding.get_host_cpu_features().get(name)) if forced is None else f"+{name}" in forced


def described() -> str:
    """LLVM's name of what numba compiles for, and its features."""
    name = os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = llvmlite.binding.get_host_cpu_features().flatten()
    return f"{name} {features}"
