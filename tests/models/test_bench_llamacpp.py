"""What the comparison with llama.cpp says where that is not installed; the comparison itself checks its own numbers."""

import importlib.util
from collections.abc import Sequence
from typing import Any, cast

import pytest
from bench import llamacpp, llamacpp_generate


def test_without_llama_cpp_there_is_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llama_cpp" else object())
    assert llamacpp.measure() == {}
    assert capsys.readouterr().out == (
        "no comparison with llama.cpp: llama_cpp not installed; make bench-llamacpp does it\n"
    )


async def test_generating_is_compared_with_the_faster_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens a second of ours over theirs, each behind its first token, which waits for the prompt."""

    class Steady:
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def generate(self, prompt: Sequence[int], count: int, seed: int) -> list[float]:
            return [10.0 + at * self.seconds for at in range(count)]

    async def ours(model: Any, prompt: Sequence[int], count: int, seed: int) -> list[float]:
        return Steady(0.02).generate(prompt, count, seed)

    monkeypatch.setattr(llamacpp_generate, "ours", ours)
    found = await llamacpp_generate.compared(cast("Any", None), [Steady(0.04), Steady(0.03)])
    assert found == pytest.approx((50.0, 1.5))
