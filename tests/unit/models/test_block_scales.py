"""How scales lie over quantised weights."""

from typing import Any

import pytest

from inference_server.errors import LoadFailed
from inference_server.models import block_scales
from inference_server.models.safetensors_header import Tensor

FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}


def tensors(weight: tuple[int, ...], scale: tuple[int, ...], name: str = "weight_scale_inv") -> dict[str, Tensor]:
    return {"l.weight": Tensor("F8_E4M3", weight, 0, 0), f"l.{name}": Tensor("F32", scale, 0, 0)}


@pytest.mark.parametrize(
    ("weight", "scale"),
    [((256, 384), (2, 3)), ((64, 256), (1, 2)), ((128, 100), (1, 1)), ((512, 512), ()), ((512, 512), (1,))],
)
def test_scales_that_fit_are_accepted(weight: tuple[int, ...], scale: tuple[int, ...]) -> None:
    block_scales.check(FP8, tensors(weight, scale))


@pytest.mark.parametrize("name", ["weight_scale_inv", "scale"])
@pytest.mark.parametrize(
    ("weight", "scale"), [((192, 128), (2, 1)), ((576, 512), (5, 4)), ((256, 256), (2, 1)), ((256, 256), (1, 2))]
)
def test_blocks_that_transformers_would_take_for_others_are_refused(
    weight: tuple[int, ...], scale: tuple[int, ...], name: str
) -> None:
    with pytest.raises(LoadFailed, match=r"in blocks of 128 x 128, which don't divide l\.weight"):
        block_scales.check(FP8, tensors(weight, scale, name))


@pytest.mark.parametrize("block", [None, [128, 128]])
def test_a_row_of_scales_is_no_grid_of_blocks(block: Any) -> None:
    with pytest.raises(LoadFailed, match=r"weight_scale_inv has a shape of \[256\]"):
        block_scales.check({**FP8, "weight_block_size": block}, tensors((256, 256), (256,)))


def test_scales_of_what_is_not_quantised_are_left_alone() -> None:
    block_scales.check(FP8, {"l.weight": Tensor("BF16", (100, 100), 0, 0), "l.scale": Tensor("F32", (7, 3), 0, 0)})


def test_compressed_tensors_has_one_way_beside_that_of_its_experts() -> None:
    described = {"quant_method": "compressed-tensors", "config_groups": {"a": {"targets": ["Linear"]}}}
    block_scales.check(described, {})
    described["config_groups"] = {"a": {"targets": ["Linear"]}, "e": {"targets": [r"re:.*mlp\.experts.*"]}}
    block_scales.check(described, {})
    described["config_groups"] = {"a": {"targets": ["Linear"]}, "b": {"targets": [r"re:.*down_proj"]}}
    with pytest.raises(LoadFailed, match=r"quantised in 2 ways \(a, b\)"):
        block_scales.check(described, {})
