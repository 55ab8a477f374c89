"""In how many bits weights are held, by what a checkpoint holds and how large it is."""

import pytest
import torch

from inference_server.cpu import weight_only_linear
from inference_server.cpu.dtype import LEAST_ELEMENTS, checkpoint_dtype, choose_dtype, kernels_run
from inference_server.models.checkpoint import Weights
from inference_server.models.safetensors_header import Tensor


def weights(*kinds: str, elements: int = 10) -> Weights:
    return Weights({f"t{at}": Tensor(kind, (elements,), 0, 2 * elements) for at, kind in enumerate(kinds)})


@pytest.mark.parametrize("kinds", [("BF16",), ("F16",), ("F32",), ("BF16", "F32")])
def test_a_small_model_is_widened_in_memory(kinds: tuple[str, ...]) -> None:
    assert choose_dtype(weights(*kinds)) == (torch.float32, False)


@pytest.mark.parametrize(
    ("kinds", "held"),
    [
        (("BF16",), torch.bfloat16),
        (("F16", "I64"), torch.float16),  # whole numbers are no weights
        (("F32",), torch.float32),
        (("BF16", "F16"), torch.float32),  # neither holds the other's numbers
        (("F64",), torch.float32),
    ],
)
def test_a_large_one_is_held_as_it_is_where_kernels_widen_it(kinds: tuple[str, ...], held: torch.dtype) -> None:
    assert choose_dtype(weights(*kinds, elements=LEAST_ELEMENTS)) == (held, True)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32])
def test_kernels_of_a_dtype_whose_numbers_differ_are_not_used(
    kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernels_run(kind), "this processor's kernels disagree with torch"
    kernels_run.cache_clear()
    monkeypatch.setattr(weight_only_linear, "trustworthy", lambda asked: asked != kind)
    try:
        held = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}[kind]
        assert choose_dtype(weights(held, elements=LEAST_ELEMENTS)) == (torch.float32, False)
    finally:
        kernels_run.cache_clear()


def test_other_devices_than_cuda_compute_in_float32() -> None:
    assert checkpoint_dtype(weights("BF16"), torch.device("cpu")) is torch.float32
    assert checkpoint_dtype(weights("F16"), torch.device("mps")) is torch.float32


def test_cuda_computes_in_what_the_checkpoint_holds() -> None:
    assert checkpoint_dtype(weights("F16"), torch.device("cuda")) is torch.float16
    assert checkpoint_dtype(weights("F16", "BF16"), torch.device("cuda")) is torch.float32
