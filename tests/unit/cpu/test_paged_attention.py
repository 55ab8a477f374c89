"""The compiled attention, beside the one in torch: the same numbers, stored in the same places."""

import pytest
import torch

from inference_server.attention.batch import Batch, Segment
from inference_server.attention.paged_attention import Pass
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.tables import BLOCK
from inference_server.cpu.paged_attention import CompiledAttention
from inference_server.kvcache.kv_blocks import KVBlocks, LayerShape, Layout
from inference_server.kvcache.radix_cache import BlockTable

HEADS, KEY_HEADS = 4, 2


def store(width: int = LANES, block_size: int = BLOCK, dtype: torch.dtype = torch.float32) -> KVBlocks:
    return KVBlocks(Layout((LayerShape(KEY_HEADS, width, width),), dtype, block_size), 8, torch.device("cpu"))


@pytest.mark.parametrize("window", [None, 3])
def test_the_same_numbers_as_torch(window: int | None) -> None:
    here, there = store(), store()
    compiled, tables = CompiledAttention(here), [BlockTable(blocks=[1, 4]), BlockTable(blocks=[6])]
    generator = torch.Generator().manual_seed(5)
    for counts in ((BLOCK - 1, 3), (4, 1), (1, 1)):  # the first prompt crosses a page in the second
        segments = [Segment(table, [7] * count) for table, count in zip(tables, counts, strict=True)]
        shapes = [(heads, sum(counts), LANES) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
        query, key, value = (torch.randn(shape, generator=generator) for shape in shapes)
        batch = Batch(segments, BLOCK)
        found = compiled.attend(batch, 0, query, key, value, 0.3, window)
        expected = Pass(Batch(segments, BLOCK), there).attend(0, query, key, value, 0.3, window, None)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        for table, count in zip(tables, counts, strict=True):
            table.tokens += [7] * count
    for page, count in ((1, BLOCK), (4, 4), (6, 5)):
        assert torch.equal(here.values[0][page, :, :count], there.values[0][page, :, :count])
        assert torch.equal(here.keys[0][page, :, :, :count], there.keys[0][page, :, :, :count])


@pytest.mark.parametrize("window", [None, 9])
def test_hidden_parts_are_not_seen(window: int | None) -> None:
    here, there, table = store(), store(), BlockTable(blocks=[1, 4])
    compiled, generator = CompiledAttention(here), torch.Generator().manual_seed(6)
    hidden = [(0, 3), (BLOCK - 1, BLOCK + 2), (5, 5), (0, BLOCK + 4), (2, 20), (BLOCK + 3, BLOCK + 4)]
    first = Segment(table, [7] * (BLOCK + 4))
    last = Segment(table, [7] * len(hidden), alternatives=True, hidden=hidden)
    for segment in (first, last):
        shapes = [(heads, len(segment.token_ids), LANES) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
        query, key, value = (torch.randn(shape, generator=generator) for shape in shapes)
        batch = Batch([segment], BLOCK)
        found = compiled.attend(batch, 0, query, key, value, 0.3, window)
        expected = Pass(Batch([segment], BLOCK), there).attend(0, query, key, value, 0.3, window, None)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        if segment is first:
            table.tokens += segment.token_ids
    own = value.transpose(0, 1).repeat_interleave(HEADS // KEY_HEADS, 1)
    torch.testing.assert_close(found[3], own[3])  # of a prompt that is hidden whole, it sees itself


@pytest.mark.parametrize(
    "other", [store(block_size=BLOCK // 2), store(dtype=torch.bfloat16), store(width=LANES - 2)], ids=range(3)
)
def test_pages_of_another_shape_are_refused(other: KVBlocks) -> None:
    with pytest.raises(ValueError, match="unsupported block layout"):
        CompiledAttention(other)
