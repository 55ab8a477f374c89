"""How many tokens a network can place. What loaded models are trusted with: tests/models/test_model.py."""

import pytest
from torch import nn

from inference_server.runtime.model_probe import longest


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
