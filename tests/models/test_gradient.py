"""Gradient times input, beside Captum on the plain network; what has none is refused in words."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from inference_server.errors import InvalidField
from inference_server.runtime.gradient import Gradient
from models.architectures import ARCHITECTURES
from models.conftest import Cell
from models.shapes import build

IDS = [7, 3, 61, 22, 9, 14, 80, 5]
PATIENCE_S = 20.0


def captum(network: Any, ids: list[int], target: int, contrast: int | None) -> torch.Tensor:
    """(n,) by Captum: the gradient of the log-odds, times the embeddings."""

    from captum.attr import InputXGradient  # with matplotlib: only where it is used

    def odds(embeddings: torch.Tensor) -> Any:
        logits = network(inputs_embeds=embeddings, use_cache=False).logits[:, -1].double()
        if contrast is not None:
            return logits[:, target] - logits[:, contrast]
        logprob = logits.log_softmax(-1)[:, target]
        return logprob - torch.log1p(-logprob.exp())

    embeddings = network.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_()
    found: torch.Tensor = InputXGradient(odds).attribute(embeddings)
    return found[0].sum(-1).detach()


def values(gradient: Gradient, ids: list[int], target: int, contrast: int | None = None) -> torch.Tensor:
    work = gradient.begin(ids, target, contrast)
    while (found := work.step(0.001)) is None:
        pass
    return torch.tensor(found)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_beside_captum(cell: Callable[[str, str], Cell], architecture: str) -> None:
    at = cell(architecture, "byte_bpe")
    gradient = at.engine.executor.model.gradient
    with torch.inference_mode():
        target, contrast = at.network(torch.tensor([IDS])).logits[0, -1].topk(2).indices.tolist()
    for other in (None, contrast):
        found, expected = values(gradient, IDS, target, other), captum(at.network, IDS, target, other)
        assert float(torch.corrcoef(torch.stack([found.double(), expected.double()]))[0, 1]) >= 0.999
        torch.testing.assert_close(found.double(), expected.double(), atol=1e-3, rtol=1e-3)


def of(network: Any, **more: Any) -> Gradient:
    return Gradient(network, torch.device("cpu"), selects_rows=True, **more)


def test_16_bit_arithmetic_is_refused() -> None:
    with pytest.raises(InvalidField, match="it computes in bfloat16, not in float32"):
        values(of(build("llama").bfloat16()), IDS, 4)


def test_a_wrong_gradient_is_refused() -> None:
    network: Any = build("llama")
    plain = network.model.layers[0].mlp.forward
    network.model.layers[0].mlp.forward = lambda x: plain(x.detach())  # right numbers, and no way back
    with pytest.raises(InvalidField, match="its gradients differ from finite differences"):
        values(of(network), IDS, 4)


def test_a_prompt_beyond_the_memory_is_refused() -> None:
    gradient = of(build("llama"), most_bytes=1 << 20)
    most = gradient.max_tokens
    assert 0 < most < 200
    assert len(values(gradient, [5] * most, 4)) == most
    with pytest.raises(InvalidField, match=f"{most + 1} tokens; this model's gradients take at most {most}"):
        gradient.begin([5] * (most + 1), 4, None)


def test_memory_grows_with_a_blocks_input_alone() -> None:
    """Of a deep network, the way back holds what one block computes, not what all do."""
    network: Any = build("llama")
    held, most = set[int](), 0
    gradient = of(network)
    values(gradient, IDS, 4)

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        held.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        x = gradient._embed(IDS).requires_grad_()
        with torch.enable_grad():
            gradient._forward(x)
    assert len(held) < 12 + 4 * len(network.model.layers), f"{len(held)} {most}"


def test_one_pass_at_a_time_and_an_abandoned_one_ends() -> None:
    gradient = of(build("llama"))
    first, second = gradient.begin(IDS, 4, None), gradient.begin(IDS, 4, None)
    assert first.step(0.0) is None
    assert second.step(PATIENCE_S) is None, "the first still holds its memory"
    first.close()
    until = time.monotonic() + PATIENCE_S
    while (found := second.step(0.01)) is None and time.monotonic() < until:
        pass
    assert found is not None
    assert "stepwise" not in {thread.name for thread in threading.enumerate() if thread.is_alive()}


def test_no_slice_computes_more_than_a_block_even_the_first_time() -> None:
    """The first pass also tries gradients out, by thirteen passes without any."""
    network: Any = build("llama")
    computed = 0

    def count(*_: Any) -> None:
        nonlocal computed
        computed += 1

    for block in network.model.layers:
        block.register_forward_pre_hook(count)
    work, most, slices = of(network).begin(IDS, 4, None), 0, 0
    found = None
    while found is None:
        before, slices = computed, slices + 1
        found = work.step(0.0)
        most = max(most, computed - before)
    assert most == 1
    assert slices > 13 * len(network.model.layers)


def test_other_passes_go_between(cell: Callable[[str, str], Cell]) -> None:
    at = cell("qwen2", "byte_bpe")
    model = at.engine.executor.model
    work = model.gradient.begin(IDS, 4, None)
    assert work.step(0.0) is None
    found = model.whole_pass.last_logits(IDS)
    torch.testing.assert_close(found, at.plain(IDS)[-1], atol=1e-4, rtol=1e-4)
    while work.step(0.0) is None:
        torch.testing.assert_close(model.whole_pass.last_logits(IDS), found)
