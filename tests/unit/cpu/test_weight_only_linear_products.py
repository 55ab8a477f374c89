"""The compiled products of one to seventy rows beside float64, on shapes that fit neither vectors nor tiles."""

from collections.abc import Callable, Iterator
from typing import Any

import gguf
import pytest
import torch
from gguf.quants import dequantize
from torch import Tensor

from inference_server.cpu.kernels.tables import MOST
from inference_server.cpu.packed_linear import PackedLinear, random_blocks
from inference_server.cpu.weight_only_linear import WeightOnlyLinear
from inference_server.host.stepwise import PART, Stepwise

ROWS = 70
BOUND = 1e-6
Made = tuple[WeightOnlyLinear, Tensor]
"""A layer without a bias, and its weights in float64."""


@pytest.fixture(autouse=True, scope="module", params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def plain(dtype: torch.dtype) -> Callable[[int, int, int], Made]:
    def make(outputs: int, width: int, seed: int) -> Made:
        draw = torch.Generator().manual_seed(seed)
        weight = torch.randn(outputs, width, generator=draw).to(dtype)
        return WeightOnlyLinear(weight, None), weight.double()

    return make


def packed(kind: str) -> Callable[[int, int, int], Made]:
    def make(outputs: int, width: int, seed: int) -> Made:
        size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]
        blocks = random_blocks(kind, outputs, -(-width // size), seed)
        wide = torch.from_numpy(dequantize(blocks.numpy(), gguf.GGMLQuantizationType[kind]))
        return PackedLinear(kind, blocks, None), wide.double()

    return make


KINDS: dict[str, Any] = {
    **{str(dtype)[6:]: plain(dtype) for dtype in (torch.bfloat16, torch.float16, torch.float32)},
    **{kind: packed(kind) for kind in ("Q4_1", "Q8_0", "Q4_K", "Q6_K")},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("outputs", "width"), [(2, 7), (17, 203), (70, 1536)])
def test_any_number_of_rows(kind: str, outputs: int, width: int) -> None:
    """Nothing is written beside the outputs, and how many rows there are changes no bit of one, from two on."""
    layer, weight = KINDS[kind](outputs, width, outputs)
    x = torch.randn(ROWS, layer.in_features, generator=torch.Generator().manual_seed(1))
    expected = x.double() @ weight.T
    scale = x.double().abs() @ weight.T.abs()  # a bound for each sum of its own
    among = dict[int, Tensor]()
    for rows in range(1, ROWS + 1):
        y = torch.full((rows + 1, outputs), torch.nan)
        layer.compiled(x[:rows], y)
        assert y[rows].isnan().all()
        assert float(((y[:rows].double() - expected[:rows]).abs() / scale[:rows]).max()) < BOUND, rows
        among[rows] = y[:rows]
    for rows in range(2, ROWS):
        assert torch.equal(among[rows], among[ROWS][:rows]), rows


@pytest.mark.parametrize("kind", ["bfloat16", "float32", "Q4_1"])
@pytest.mark.parametrize("most_rows", [0, 1 << 40])
def test_a_product_that_is_paused(kind: str, most_rows: int) -> None:
    """Forward and back, part by part; another product in between changes nothing."""
    layer, weight = KINDS[kind](29, 96, 5)
    layer.most_rows = most_rows
    x = torch.randn(2 * PART + 7, layer.in_features, generator=torch.Generator().manual_seed(7), requires_grad=True)
    other = torch.ones(1, layer.in_features)

    def work() -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            y = layer(x)
            return y.detach(), torch.autograd.grad(y.square().sum(), x)[0]

    steps, taken = Stepwise(work), 1
    while (found := steps.step(0.0)) is None:
        taken += 1
        layer(other)
    assert taken == 7  # three parts each way, and what is left
    y = x.detach().double() @ weight.T
    torch.testing.assert_close(found[0].double(), y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1].double(), 2 * y @ weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "Q4_1"])
@pytest.mark.parametrize("rows", [1, MOST, 3 * MOST + 1])
def test_a_bias_is_added(kind: str, rows: int) -> None:
    layer, weight = KINDS[kind](29, 96, 5)
    bias = torch.randn(29, generator=torch.Generator().manual_seed(6))
    layer.bias = torch.nn.Parameter(bias, requires_grad=False)
    x = torch.randn(2, rows, layer.in_features, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(layer(x).double(), x.double() @ weight.T + bias, rtol=1e-5, atol=1e-5)
