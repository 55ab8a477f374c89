"""What the comparison with llama.cpp says where that is not installed; the comparison itself checks its own numbers."""

import importlib.util

import pytest
from bench import llamacpp


def test_without_llama_cpp_there_is_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llama_cpp" else object())
    assert llamacpp.measure() == {}
    assert capsys.readouterr().out == (
        "no comparison with llama.cpp: llama_cpp not installed; make bench-llamacpp does it\n"
    )
