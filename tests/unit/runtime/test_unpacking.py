"""Packed weights written down by hand, and the numbers they stand for."""

import json

import pytest
import torch

from inference_server.runtime import unpacking
from inference_server.runtime.unpacking import BnbState

STATE = {"shape": [2, 3], "dtype": "float16", "blocksize": 4}


def read(**changes: object) -> BnbState:
    return BnbState.read(json.dumps({**STATE, **changes}).encode())


def test_bnb_4bit_takes_the_high_half_of_a_byte_first() -> None:
    parts = {"quant_map": torch.arange(16.0), "absmax": torch.tensor([10.0, 100.0])}
    found = unpacking.bnb_4bit(torch.tensor([[0x12], [0x34], [0x56]], dtype=torch.uint8), parts, read())
    assert found.tolist() == [[10.0, 20.0, 30.0], [40.0, 500.0, 600.0]]


def test_bnb_4bit_scales_may_be_packed_themselves() -> None:
    parts = {
        "quant_map": torch.arange(16.0),
        "absmax": torch.tensor([1, 3], dtype=torch.uint8),
        "nested_quant_map": torch.arange(256.0),
        "nested_absmax": torch.tensor([2.0, 4.0]),
    }
    packed = torch.tensor([[0x11], [0x11], [0x11]], dtype=torch.uint8)
    found = unpacking.bnb_4bit(packed, parts, read(nested_blocksize=1, nested_offset=0.5))
    assert found.tolist() == [[2.5, 2.5, 2.5], [2.5, 12.5, 12.5]]


def test_bnb_4bit_of_an_odd_count_leaves_the_last_half_out() -> None:
    parts = {"quant_map": torch.arange(16.0), "absmax": torch.tensor([1.0])}
    packed = torch.tensor([[0x12], [0x30]], dtype=torch.uint8)
    assert unpacking.bnb_4bit(packed, parts, read(shape=[3])).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": []},
        {"shape": [0, 4]},
        {"blocksize": 0},
        {"blocksize": 1 << 40},
        {"nested_blocksize": 0},
        {"nested_blocksize": 1 << 40},
        {"dtype": "int8"},
    ],
    ids=str,
)
def test_a_state_that_means_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read(**changes)


def test_bnb_8bit_is_in_parts_of_127() -> None:
    found = unpacking.bnb_8bit(torch.tensor([[127, -127], [0, 1]], dtype=torch.int8), torch.tensor([2.0, 254.0]))
    torch.testing.assert_close(found, torch.tensor([[2.0, -2.0], [0.0, 2.0]]))


def test_gptq_words_run_along_the_inputs_and_groups_may_lie_apart() -> None:
    qweight = torch.tensor([[0x76543210], [-0x01234568]], dtype=torch.int32)  # the second: 0xFEDCBA98
    qzeros = torch.tensor([[0x00000007], [0x0000000F]], dtype=torch.int32)
    scales = torch.tensor([[1.0], [10.0]]).expand(2, 8).contiguous()
    groups = torch.tensor([0, 1] * 8)
    found = unpacking.gptq(qweight.expand(2, 8), qzeros, scales, groups, bits=4, above=1)
    assert found.shape == (8, 16)
    assert found[0, :4].tolist() == [-8.0, 10.0, -6.0, 30.0]  # zeros are 8, and 15 + 1, of which 4 bits keep 0
    assert found[0, -2:].tolist() == [6.0, 150.0]
    assert found[1, :2].tolist() == [-1.0, 0.0]  # the zeros of the next output: 0 + 1


def test_awq_words_run_along_the_outputs_in_an_order_of_its_own() -> None:
    qweight = torch.tensor([[0x76543210], [0x00000000]], dtype=torch.int32)
    found = unpacking.awq(qweight, torch.zeros(1, 1, dtype=torch.int32), torch.full((1, 8), 2.0))
    assert found.T.tolist() == [[0.0, 8.0, 2.0, 10.0, 4.0, 12.0, 6.0, 14.0], [0.0] * 8]
