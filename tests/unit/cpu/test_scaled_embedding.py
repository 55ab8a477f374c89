"""Which embeddings are known to multiply their rows, and by what."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.models.bart.modeling_bart import BartScaledWordEmbedding
from transformers.models.gemma.modeling_gemma import GemmaTextScaledWordEmbedding
from transformers.models.gemma3.modeling_gemma3 import Gemma3TextScaledWordEmbedding

from inference_server.cpu.scaled_embedding import scale_of
from inference_server.cpu.weight_only_linear import replace_linears


class Shifted(Gemma3TextScaledWordEmbedding):
    """The same attributes, other rows."""

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = super().forward(ids) + 1
        return found


class Nameless(nn.Embedding):
    scalar_embed_scale = 2.0


@pytest.mark.parametrize("kind", [GemmaTextScaledWordEmbedding, Gemma3TextScaledWordEmbedding])
def test_gemmas_constant_is_found(kind: Any) -> None:
    assert scale_of(kind(4, 3, 0, embed_scale=1.7)) == 1.7


def test_a_plain_one_has_none() -> None:
    assert scale_of(nn.Embedding(4, 3)) == 1


@pytest.mark.parametrize(
    "layer",
    [Shifted(4, 3, 0, embed_scale=1.7), Nameless(4, 3), BartScaledWordEmbedding(4, 3, 0, 1.7), nn.Linear(4, 3)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_do_something_else_are_left_as_they_are(layer: nn.Module) -> None:
    assert scale_of(layer) is None


def test_rows_in_16_bits_are_multiplied_in_32() -> None:
    model = nn.Sequential(Gemma3TextScaledWordEmbedding(30, 8, 0, embed_scale=1.7)).bfloat16()
    weight = model[0].get_parameter("weight").detach().clone()
    replace_linears(model)
    ids = torch.tensor([[3, 0], [29, 3]])
    assert torch.equal(model(ids), weight.float()[ids] * 1.7)
    assert next(model.parameters()).dtype == torch.bfloat16
