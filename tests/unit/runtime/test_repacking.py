"""Packed weights in blocks: what the kernels make of them are the unpacked numbers, to the last bit."""

import pytest
import torch
from torch import Tensor

from inference_server.cpu import packed_linear
from inference_server.cpu.kernels import layouts
from inference_server.runtime import packed_layers, repacking, unpacking
from inference_server.runtime.repacking import Blocks
from inference_server.runtime.unpacking import BnbState

OUTPUTS, INPUTS, GROUPS = 32, 192, 3


def drawn(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    bits = torch.randint(256, (*shape, dtype.itemsize), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))
    return bits.view(dtype).squeeze(-1)


def scales(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(8)) + 0.01


def assert_same(blocks: Blocks, numbers: Tensor) -> None:
    wide = packed_linear.widen(blocks.kind, blocks.rows)
    torch.testing.assert_close(wide, numbers if blocks.order is None else numbers[:, blocks.order], rtol=0, atol=0)


def test_sizes_of_blocks_are_those_of_the_kernels() -> None:
    for kind, code in packed_linear.CHECKPOINT_KINDS.items():
        assert layouts.LAYOUTS[code] == (repacking.BLOCK, repacking.BYTES[kind])


@pytest.mark.parametrize("kind", packed_linear.CHECKPOINT_KINDS)
def test_kernels_run_and_agree(kind: str) -> None:
    assert packed_layers.trustworthy(kind)


def of_gptq(bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Words, zeros and scales."""
    return (
        drawn(INPUTS * bits // 32, OUTPUTS, dtype=torch.int32),
        drawn(GROUPS, OUTPUTS * bits // 32, dtype=torch.int32),
        scales(GROUPS, OUTPUTS).half(),
    )


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("above", [0, 1])
def test_gptq(bits: int, above: int) -> None:
    given, groups = of_gptq(bits), unpacking.in_order(INPUTS, GROUPS)
    found = repacking.gptq(*given, groups, bits, above)
    assert found.kind == repacking.words_kind(given[2], groups, bits) == ("U8" if bits == 8 else "U4")
    assert found.order is None
    assert_same(found, unpacking.gptq(*given, groups, bits, above))


@pytest.mark.parametrize("bits", [4, 8])
def test_gptq_with_groups_of_inputs_that_lie_apart(bits: int) -> None:
    groups = unpacking.in_order(INPUTS, GROUPS)[torch.randperm(INPUTS, generator=torch.Generator().manual_seed(2))]
    given = of_gptq(bits)
    assert repacking.words_kind(given[2], groups, bits)
    found = repacking.gptq(*given, groups, bits, 1)
    assert found.order is not None
    assert_same(found, unpacking.gptq(*given, groups, bits, 1))


def test_awq() -> None:
    given = (
        drawn(INPUTS, OUTPUTS // 8, dtype=torch.int32),
        drawn(GROUPS, OUTPUTS // 8, dtype=torch.int32),
        scales(GROUPS, OUTPUTS).half(),
    )
    assert_same(repacking.awq(*given), unpacking.awq(*given))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", repacking.CODES)
def test_bnb_4bit(kind: str, nested: bool) -> None:
    count = OUTPUTS * INPUTS // 64
    state = BnbState((OUTPUTS, INPUTS), "F16", 64, 16 if nested else None, 0.25)
    parts = {"quant_map": torch.tensor(repacking.CODES[kind]), "absmax": drawn(count) if nested else scales(count)}
    if nested:
        parts |= {"nested_quant_map": scales(256), "nested_absmax": scales(count // 16)}
    packed = drawn(OUTPUTS * INPUTS // 2, 1)
    found = repacking.bnb_4bit(packed, parts, state)
    assert found.kind == kind
    assert_same(found, unpacking.bnb_4bit(packed, parts, state))


def test_bnb_8bit() -> None:
    weight, largest = drawn(OUTPUTS, INPUTS, dtype=torch.int8), scales(OUTPUTS)
    assert_same(repacking.bnb_8bit(weight, largest), unpacking.bnb_8bit(weight, largest))


@pytest.mark.parametrize(
    ("scale", "groups"),
    [
        (1e-6 / 3, unpacking.in_order(INPUTS, GROUPS)),  # which float16 rounds
        (1.0, unpacking.in_order(INPUTS, INPUTS // 16)),
        (1.0, torch.arange(INPUTS) // 40),
        (1.0, unpacking.in_order(48, GROUPS)),
    ],
    ids=["finer scales", "smaller groups", "groups of odd sizes", "an odd number of inputs"],
)
def test_words_that_no_blocks_hold(scale: float, groups: Tensor) -> None:
    fits = repacking.words_kind(torch.ones(GROUPS, OUTPUTS), unpacking.in_order(INPUTS, GROUPS), 4)
    assert fits
    assert not repacking.words_kind(torch.full((GROUPS, OUTPUTS), scale), groups, 4)


@pytest.mark.parametrize(
    ("shape", "blocksize", "change"),
    [((32, 48), 64, 0.0), ((32, 64), 16, 0.0), ((64,), 64, 0.0), ((32, 64), 64, 1e-3)],
    ids=["an odd number of inputs", "smaller blocks", "a vector", "another codebook"],
)
def test_bnb_weights_that_no_blocks_hold(shape: tuple[int, ...], blocksize: int, change: float) -> None:
    code = torch.tensor(repacking.CODES["NF4"])
    assert repacking.bnb_4bit_kind(code, BnbState((32, 64), "F16", 64, None, 0)) == "NF4"
    code[3] += change
    assert not repacking.bnb_4bit_kind(code, BnbState(shape, "F16", blocksize, None, 0))


def test_bnb_bytes_that_no_blocks_hold() -> None:
    assert repacking.bnb_8bit_kind(64) == "I8"
    assert not repacking.bnb_8bit_kind(48)
