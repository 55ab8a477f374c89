"""Passes over whole prompts give a network's own logits, all of them or the last, in whatever steps."""

import pytest
import torch
from models.shapes import VOCABULARY, build
from torch import Tensor

from inference_server.runtime import whole_pass
from inference_server.runtime.whole_pass import WholePass

IDS = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.mark.parametrize("name", ["llama", "bloom"])
@pytest.mark.parametrize("selects_rows", [True, False])
@pytest.mark.parametrize("step", [3, 100])
def test_the_networks_own_logits(name: str, selects_rows: bool, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_pass, "LOGITS_BYTES", step * 4 * VOCABULARY)
    network = build(name)
    with torch.inference_mode():
        expected = network(torch.tensor([IDS])).logits[0]
    one = WholePass(network, torch.device("cpu"), selects_rows=selects_rows, vocab_size=VOCABULARY)
    torch.testing.assert_close(one.last_logits(IDS), expected[-1])
    parts: list[Tensor] = []
    one.each_logits(IDS, parts.append)
    assert [len(part) for part in parts] == ([3, 3, 2] if step == 3 and selects_rows else [8])
    torch.testing.assert_close(torch.cat(parts), expected)


def test_the_body_runs_once_however_many_steps_the_head_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_pass, "LOGITS_BYTES", 4 * VOCABULARY)
    network, passes = build("llama"), list[int]()
    network.model.layers[0].register_forward_hook(lambda *_: passes.append(1))
    one = WholePass(network, torch.device("cpu"), selects_rows=True, vocab_size=VOCABULARY)
    for _ in range(2):
        parts: list[Tensor] = []
        one.each_logits(IDS, parts.append)
        assert len(parts) == len(IDS)
    assert len(passes) == 2


def test_a_pass_runs_within_its_context() -> None:
    lengths: list[int] = []

    def context(length: int) -> torch.inference_mode:
        lengths.append(length)
        return torch.inference_mode()

    one = WholePass(build("llama"), torch.device("cpu"), selects_rows=True, vocab_size=VOCABULARY, context=context)
    one.last_logits(IDS)
    assert lengths == [len(IDS)]
