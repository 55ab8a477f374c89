"""Attention over pages, beside plain attention over whole prompts.

Within whole models: tests/models/test_model_runner.py.
"""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from inference_server.attention.batch import Batch, Segment
from inference_server.attention.paged_attention import Pass, UnsupportedAttentionError, paged_attention, running
from inference_server.kvcache.kv_blocks import KVBlocks, LayerShape, Layout
from inference_server.kvcache.radix_cache import BlockTable

PAGE, HEADS, KEY_HEADS, WIDTH = 4, 4, 2, 8
SCALING = WIDTH**-0.5
CPU = torch.device("cpu")


def store() -> KVBlocks:
    return KVBlocks(Layout((LayerShape(KEY_HEADS, WIDTH, WIDTH),), torch.float32, PAGE), 8, CPU)


def drawn(tokens: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of that many tokens."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((HEADS, tokens, WIDTH), (KEY_HEADS, tokens, WIDTH), (KEY_HEADS, tokens, WIDTH))
    first, second, third = (torch.randn(shape, generator=generator) for shape in shapes)
    return first, second, third


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention over a whole prompt, (tokens, heads, width)."""
    mixed = scaled_dot_product_attention(query, key, value, is_causal=True, scale=SCALING, enable_gqa=True)
    return mixed.transpose(0, 1)


@pytest.mark.parametrize("cap", [None, 1e6])  # so high that it changes nothing
def test_prompts_of_several_lengths_in_two_steps(cap: float | None) -> None:
    blocks, tables = store(), [BlockTable(blocks=[2, 5]), BlockTable(blocks=[0])]
    whole = [drawn(6, seed=1), drawn(3, seed=2)]
    found: list[list[Tensor]] = [[], []]
    for step in ((0, 5), (5, 6)):  # five tokens and one more; the shorter prompt two and one
        parts = [(slice(*step) if at == 0 else slice(*((0, 2) if step[0] == 0 else (2, 3)))) for at in range(2)]
        ids = [list(range(part.start, part.stop)) for part in parts]
        batch = Batch([Segment(table, new) for table, new in zip(tables, ids, strict=True)], PAGE)
        packed = [torch.cat([whole[at][kind][:, parts[at]] for at in range(2)], 1) for kind in range(3)]
        query, key, value = packed
        output = Pass(batch, blocks).attend(0, query, key, value, SCALING, None, cap)
        at = 0
        for number, new in enumerate(ids):
            found[number].append(output[at : at + len(new)])
            tables[number].tokens += new
            at += len(new)
    for number in range(2):
        torch.testing.assert_close(torch.cat(found[number]), plain(*whole[number]), atol=1e-5, rtol=1e-5)


def test_without_a_store_it_learns_what_layers_would_keep() -> None:
    batch = Batch([Segment(BlockTable(blocks=[0]), [1, 2])], PAGE)
    work = Pass(batch, None)
    query, key, value = drawn(2, seed=3)
    torch.testing.assert_close(
        work.attend(0, query, key, value, SCALING, 7, None), plain(query, key, value), atol=1e-5, rtol=1e-5
    )
    assert work.shapes == {0: LayerShape(KEY_HEADS, WIDTH, WIDTH, 7)}


def asked(**changed: Any) -> Any:
    query, key, value = (each[None] for each in drawn(2, seed=4))
    return paged_attention(SimpleNamespace(layer_idx=0), query, key, value, None, **changed)  # type: ignore[arg-type]


def test_outside_a_pass_there_is_no_answer() -> None:
    with pytest.raises(RuntimeError, match="bug"):
        asked()


@pytest.mark.parametrize("changed", [{"sinks": torch.zeros(1)}, {"head_mask": torch.zeros(1)}])
def test_what_would_change_the_numbers_is_refused_by_name(changed: dict[str, Any]) -> None:
    batch = Batch([Segment(BlockTable(blocks=[0]), [1, 2])], PAGE)
    with running(Pass(batch, None)):
        assert asked(dropout=0.0, use_cache=True)[0].shape == (1, 2, HEADS, WIDTH)
        with pytest.raises(UnsupportedAttentionError, match=next(iter(changed))):
            asked(**changed)
