"""Contributions and gradients where tensors can't be float64, as on Apple's GPUs: they are what they are on a CPU."""

from typing import Any

import pytest
import torch
from apple_gpu import OnGPU, move

from inference_server.runtime.gradient import Gradient
from inference_server.runtime.lens import build_lens
from inference_server.runtime.whole_pass import WholePass
from inference_server.sequence import Trace
from models.shapes import build

IDS = [7, 3, 61, 22, 9]
CONTRAST = (5, 11)
CPU = torch.device("cpu")


def contributions(network: Any) -> list[float]:
    """The difference between two tokens, and each part's share of it."""
    passes = WholePass(network, CPU, selects_rows=True)
    lens, insight = build_lens(network, passes, paged=False, longest=64)
    assert lens is not None
    assert insight.contrast_refusal == ""
    trace = Trace(lens.rows, contrast=CONTRAST)
    with lens.watching(trace, len(IDS)):
        passes.last_logits(IDS)
    assert trace.difference is not None
    return [trace.difference, *(share for _, _, share in trace.contributions)]


def gradients(network: Any) -> list[float]:
    work, found = Gradient(network, CPU, selects_rows=True).begin(IDS, *CONTRAST), None
    while found is None:
        found = work.step(1.0)
    return found


@pytest.mark.parametrize("of", [contributions, gradients])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_as_on_a_cpu(architecture: str, of: Any) -> None:
    there = build(architecture)
    move(there)
    logits = there(input_ids=torch.tensor([IDS])).logits
    assert isinstance(logits, OnGPU)
    with pytest.raises(TypeError, match="float64"):
        logits.double()
    assert of(there) == pytest.approx(of(build(architecture)), rel=1e-4, abs=1e-5)
