"""Kernels come out of files that need no numba, and are compiled where there is no such file."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from inference_server.cpu.kernels import compiling, objects, processor, team
from inference_server.cpu.kernels.objects import Kernel

WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from inference_server.cpu import fused_decoder, packed_linear, paged_attention, weight_only_linear
from inference_server.cpu.kernels import team
from inference_server.cpu.kernels.objects import Kernel
for kernel in Kernel:
    for kind in kernel.kinds:
        team.body(kernel) if kind is None else team.function(kernel, kind)
from inference_server.sampling import log_partition, ranking, softmax
assert all((log_partition.compiled(), ranking.compiled(), softmax.compiled()))
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two empty folders where kernels are kept."""
    found = tmp_path / "package", tmp_path / "of user"
    monkeypatch.setattr(objects, "folders", lambda: found)
    return found


def test_they_are_kept_beside_their_sources_or_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    beside = objects.HERE / "__pycache__"
    assert list(objects.folders()) == [beside, tmp_path / ".cache/next-token-visualizer/kernels"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert list(objects.folders()) == [beside, tmp_path / "other/next-token-visualizer/kernels"]
    monkeypatch.setenv("XDG_CACHE_HOME", "~nobody-of-this-name/cache")
    assert list(objects.folders()) == [beside]


def compiled_on_load() -> bool:
    """Whether the bins of a ranking, loaded anew, had to be compiled; checks what they compute."""
    with capture_logs() as said:
        body = team.Body(Kernel.BINS)
    keys, scalars = (np.array(each, dtype=np.float32) for each in ([0, 1.6, 9], [0, 2, 7]))
    weights, bins, sums = np.array([1.0, 2.0, 4.0]), np.empty(3, dtype=np.int16), np.zeros(8)
    arrays = [each.ctypes.data for each in (scalars, weights, bins, sums)]
    body.run(np.array([keys.ctypes.data, 3, *arrays], dtype=np.int64), 1)
    assert bins.tolist() == [0, 3, 7]
    assert sums.tolist() == [1, 0, 0, 2, 0, 0, 0, 4]
    return "kernel compiled" in [entry["event"] for entry in said]


def test_a_server_loads_them_without_numba() -> None:
    for kernel in Kernel:  # compiled here if they never were
        for kind in kernel.kinds:
            _ = team.body(kernel) if kind is None else team.function(kernel, kind)
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WITHOUT_NUMBA]
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_what_was_compiled_once_is_read_from_its_file(folders: tuple[Path, Path]) -> None:
    assert compiled_on_load()
    [file] = folders[0].iterdir()
    assert file.name.startswith("softmax.bins.")
    assert not folders[1].exists()
    assert not compiled_on_load()


@pytest.mark.parametrize(
    "damaged",
    [
        lambda whole: b"",
        lambda whole: b"no object code, but longer than the digest at the end of every file",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[: len(whole) // 2].ljust(len(whole), b"\0"),
        lambda whole: whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
    ],
    ids=["empty", "something else", "half", "zeros", "a bit"],
)
def test_a_damaged_file_is_made_anew(folders: tuple[Path, Path], damaged: Callable[[bytes], bytes]) -> None:
    """As after a power failure. LLVM ends the process at most of these."""
    assert compiled_on_load()
    [file] = folders[0].iterdir()
    whole = file.read_bytes()
    file.write_bytes(damaged(whole))
    assert compiled_on_load()
    assert len(file.read_bytes()) == len(whole)
    assert not compiled_on_load()


def test_a_user_who_may_not_write_to_the_package_keeps_them_at_home(folders: tuple[Path, Path]) -> None:
    folders[0].write_text("a file where the folder should be")
    assert compiled_on_load()
    assert [file.name.split(".")[:2] for file in folders[1].iterdir()] == [["softmax", "bins"]]
    assert not compiled_on_load()


def test_they_run_where_nothing_can_be_written(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        folder.write_text("a file where the folder should be")
    assert compiled_on_load()
    assert compiled_on_load()


def test_a_file_is_for_one_processor(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled_on_load()
    monkeypatch.setattr(processor, "described", lambda: "another")
    objects._key.cache_clear()
    try:
        assert compiled_on_load()
    finally:
        objects._key.cache_clear()
    assert len(list(folders[0].iterdir())) == 2


@pytest.mark.parametrize("variable", ["NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"])
def test_a_processor_is_the_one_that_numba_compiles_for(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    here = processor.described()
    monkeypatch.setenv(variable, "other")
    assert processor.described() != here
    assert "other" in processor.described()


def test_a_kernel_that_calls_python_is_not_loaded(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM would end the process at a name that it can't find."""

    def prints(address: int) -> None:
        print(address)  # noqa: T201

    monkeypatch.setattr("inference_server.cpu.kernels.softmax.bins", prints)
    with pytest.raises(compiling.OutsideError, match=r"^softmax:bins calls .*numba_gil_ensure"):
        team.Body(Kernel.BINS)
    assert not folders[0].exists()
