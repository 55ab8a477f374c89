"""How many tokens a network can place. What loaded models are trusted with: tests/models/test_model.py."""

from typing import Any

import pytest
import torch
from models.shapes import build
from torch import nn

from inference_server.runtime.model_probe import longest, probe


def network(name: str, rows: int, padding: int | None = None, offset: int | None = None) -> nn.Module:
    table = nn.Embedding(rows, 2, padding_idx=padding)
    if offset is not None:
        table.offset = offset  # type: ignore[assignment]  # as OPT's own class has it
    return nn.ModuleDict({"decoder": nn.ModuleDict({name: table})})


@pytest.mark.parametrize(
    ("made", "limit"),
    [
        (network("wpe", 32), 32),
        (network("wpe", 128), 64),
        (network("embed_positions", 34, offset=2), 32),
        (network("position_embeddings", 34, padding=1), 32),
        (network("words", 32), 64),  # a table of something else
    ],
)
def test_no_more_tokens_than_a_table_of_positions_has_rows_for(made: nn.Module, limit: int) -> None:
    assert longest(made, 64) == limit


def test_a_load_computes_no_prompt_twice_in_the_same_way() -> None:
    model, computed = build("llama"), list[tuple[int, ...]]()

    def note(embedding: nn.Module, given: Any) -> None:
        computed.append(tuple(given[0][0].tolist()))

    model.get_input_embeddings().register_forward_pre_hook(note)
    found = probe(model, torch.device("cpu"), 64)
    assert found.selects_rows
    assert len(computed) == len(set(computed)) + 1, "once with all rows, once with those asked for"
