"""Where keys and values lie in memory: no two parts share a byte, and runs of blocks are read like a stream."""

import itertools

import pytest
import torch
from torch import Tensor

from inference_server.kvcache.kv_blocks import FEW, RUN, KVBlocks, LayerShape, Layout, TokenKVBlocks, whole_runs

PAGE = 4
ALIKE = (LayerShape(2, 8, 8), LayerShape(2, 8, 8), LayerShape(2, 8, 8))
UNLIKE = (LayerShape(2, 8, 8), LayerShape(1, 8, 4), LayerShape(2, 8, 8))


def store(layers: tuple[LayerShape, ...], blocks: int) -> KVBlocks:
    return KVBlocks(Layout(layers, torch.float32, PAGE), blocks, torch.device("cpu"))


def parts(kept: KVBlocks) -> list[list[Tensor]]:
    """For each layer's keys and values, the part of every block in the order of their numbers."""
    return [[tensor[number] for number in kept.numbers] for tensor in (*kept.keys, *kept.values)]


@pytest.mark.parametrize("layers", [ALIKE, UNLIKE])
@pytest.mark.parametrize("blocks", [1, 3, RUN, 3 * RUN, 3 * RUN + 1])
def test_every_part_has_its_own_bytes_and_none_is_left_over(layers: tuple[LayerShape, ...], blocks: int) -> None:
    kept = store(layers, blocks)
    ends = sorted(
        (part.data_ptr(), part.data_ptr() + part.numel() * 4) for part in itertools.chain.from_iterable(parts(kept))
    )
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
    assert (
        sum(end - start for start, end in ends) == blocks * kept.block_bytes == kept.keys[0].untyped_storage().nbytes()
    )


@pytest.mark.parametrize(("layers", "blocks"), [(ALIKE, 3 * RUN), (ALIKE, 3 * RUN + 1), (UNLIKE, 3 * RUN)])
def test_numbers_say_where_pages_lie(layers: tuple[LayerShape, ...], blocks: int) -> None:
    kept = store(layers, blocks)
    for tensor in (*kept.keys, *kept.values):
        first = tensor.data_ptr()
        assert [tensor[n].data_ptr() - first for n in kept.numbers] == [n * kept.block_step for n in kept.numbers]


def test_a_run_of_pages_lies_side_by_side_in_each_layer() -> None:
    for each in parts(store(ALIKE, 3 * RUN)):
        starts, size = [part.data_ptr() for part in each], each[0].numel() * 4
        gaps = [after - before for before, after in itertools.pairwise(starts)]
        assert [gap == size for gap in gaps] == [(block + 1) % RUN != 0 for block in range(3 * RUN - 1)]


@pytest.mark.parametrize("blocks", [3, 2 * RUN])
def test_what_is_written_is_read(blocks: int) -> None:
    kept, generator = store(ALIKE, blocks), torch.Generator().manual_seed(1)
    own = torch.tensor(kept.numbers).flip(0)
    count = blocks * PAGE
    written = [[torch.randn(count, 2, 8, generator=generator) for _ in range(2)] for _ in ALIKE]
    for layer, (key, value) in enumerate(written):
        kept.write(layer, own.repeat_interleave(PAGE), torch.arange(count) % PAGE, key, value)
    for layer, (key, value) in enumerate(written):
        keys, values = kept.read(layer, own, count)
        assert torch.equal(keys, key.transpose(0, 1))
        assert torch.equal(values, value.transpose(0, 1))


@pytest.mark.parametrize("layers", [ALIKE, UNLIKE])
def test_copies_go_where_they_should_and_nowhere_else(layers: tuple[LayerShape, ...]) -> None:
    kept = store(layers, 2 * RUN)
    for number, tensor in itertools.product(kept.numbers, (*kept.keys, *kept.values)):
        tensor[number] = number
    first, second, last = kept.numbers[0], kept.numbers[1], kept.numbers[-1]
    kept.copy_block(last, first)
    kept.copy_slot((last, 2), (second, 1))
    kept.clear_slot((second, 3))
    for keys, values in zip(kept.keys, kept.values, strict=True):
        assert (keys[first] == last).all()
        assert (values[first] == last).all()
        assert (keys[second, :, :, 1] == last).all()
        assert (values[second, :, 1] == last).all()
        assert (keys[second, :, :, ::2] == second).all()
        assert (values[second, :, ::2] == second).all()
        assert (keys[second, :, :, 3] == 0).all()
        assert (values[second, :, 3] == 0).all()
        assert all((tensor[n] == n).all() for tensor in (keys, values) for n in kept.numbers[2:])


@pytest.mark.parametrize("layers", [ALIKE, UNLIKE])
def test_tokens_side_by_side_are_copied_as_well(layers: tuple[LayerShape, ...]) -> None:
    kept = TokenKVBlocks(Layout(layers, torch.float32, PAGE), 3, torch.device("cpu"))
    for block, tensor in itertools.product(kept.numbers, (*kept.keys, *kept.values)):
        tensor[block] = block + 1
    kept.copy_block(2, 0)
    kept.copy_slot((2, 1), (1, 3))
    kept.clear_slot((1, 0))
    for tensor in (*kept.keys, *kept.values):
        slots = [[float(slot.flatten()[0]) for slot in tensor[block]] for block in kept.numbers]
        assert slots == [[3, 3, 3, 3], [0, 2, 2, 3], [3, 3, 3, 3]]
        assert all((slot == slot.flatten()[0]).all() for block in tensor for slot in block)


def test_many_pages_are_rounded_to_whole_runs_and_few_are_not() -> None:
    assert [whole_runs(blocks) for blocks in (1, RUN + 1, FEW - 1)] == [1, RUN + 1, FEW - 1]
    assert [whole_runs(blocks) for blocks in (FEW, FEW + 1, FEW + RUN - 1)] == [FEW, FEW, FEW]
