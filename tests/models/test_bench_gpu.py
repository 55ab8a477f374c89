"""The GPU's benchmark works from end to end, on a small model with the CPU in the GPU's place."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from bench import gpu

from models.shapes import build


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model: Any = build("llama").bfloat16()
    folder = tmp_path_factory.mktemp("llama")
    model.save_pretrained(folder)
    return folder


def measured(folder: Path) -> dict[str, float]:
    small: dict[str, int] = {"context": 40, "repeats": 1, "stored_bytes": 1 << 21, "copied_bytes": 1 << 20}
    return gpu.measure(folder, torch.device("cpu"), **small)


def test_every_figure_is_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = measured(folder)
    assert all(value >= 0 for value in figures.values())
    assert all(value > 0 for name, value in figures.items() if name != "gpu_difference")
    table = capsys.readouterr().out
    assert all(name in table for name in ("recorded_1 ", "recorded_32", "layered_1 ", "plain_step", "floor", "copy"))


def test_wrong_numbers_are_no_figures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [gpu._load(folder, torch.device("cpu")) for _ in range(3)]
    with torch.no_grad():
        models[2].lm_head.weight.neg_()  # the one that the others are held against
    monkeypatch.setattr(gpu, "_load", lambda folder, device: models.pop(0))
    with pytest.raises(ArithmeticError, match="recorded steps differ from plain transformers by"):
        measured(folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(gpu.__file__, run_name="__main__")
    assert ended.value.code == 1
    assert capfd.readouterr() == ("", "bench.gpu measures on a CUDA GPU, and this machine shows none\n")
