"""Which models the one compiled pass is for.

Its numbers: tests/models/test_weight_only_linear.py and test_model_runner.py.
"""

from typing import Any

import pytest
import torch
from models.shapes import build

from inference_server.cpu.fused_decoder import FusedDecoder, UnfusableError
from inference_server.cpu.kernels.tables import BLOCK
from inference_server.cpu.weight_only_linear import replace_linears
from inference_server.kvcache.kv_blocks import KVBlocks, LayerShape, Layout


def fused(model: Any, block_size: int = BLOCK) -> FusedDecoder:
    layers = (LayerShape(2, 16, 16),) * 2
    return FusedDecoder(model, KVBlocks(Layout(layers, torch.float32, block_size), 8, torch.device("cpu")))


def test_a_llama_with_its_weights_replaced_is_fused() -> None:
    model = build("llama")
    replace_linears(model)
    fused(model)


@pytest.mark.parametrize("name", ["gpt2", "mixtral", "phi"])
def test_other_architectures_are_not(name: str) -> None:
    with pytest.raises(UnfusableError, match="architecture"):
        fused(build(name))


def test_nor_is_a_store_with_other_pages() -> None:
    with pytest.raises(UnfusableError):
        fused(build("llama"), BLOCK // 2)


def test_nor_are_weights_that_nobody_replaced() -> None:
    with pytest.raises(UnfusableError, match="weights"):
        fused(build("llama"))
