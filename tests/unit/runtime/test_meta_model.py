"""A network without its numbers: what it would take, whether weights fit it, and that none grows without end."""

from typing import Any

import pytest
import torch
from models.shapes import build
from torch import nn
from transformers import BioGptConfig, LlamaConfig

from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import Weights
from inference_server.models.safetensors_header import Tensor
from inference_server.runtime import meta_model, network_class

SMALL = LlamaConfig(
    vocab_size=97, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, head_dim=16
)


def weights(shapes: dict[str, tuple[int, ...]]) -> Weights:
    return Weights({name: Tensor("F32", shape, 0, 0) for name, shape in shapes.items()})


def test_it_counts_what_the_network_would_take() -> None:
    model = build("llama-tied-biased")
    plan = meta_model.draw(model.config, weights({}))
    assert plan.elements == model.num_parameters()  # what is tied counts once
    assert plan.bytes_at(4) - plan.bytes_at(2) == 2 * plan.elements
    assert all(tensor.device == torch.device("meta") for tensor in plan.parameters.values())


def test_what_kernels_do_not_widen_takes_four_bytes() -> None:
    plan = meta_model.draw(SMALL, weights({}))
    norms = sum(tensor.numel() for name, tensor in plan.parameters.items() if "norm" in name)
    assert plan.bytes_widened(2) == plan.bytes_at(2) + 2 * norms
    assert plan.bytes_widened(4) == plan.bytes_at(4)


def test_a_shared_tensor_takes_both_where_only_some_of_its_layers_keep_it() -> None:
    """BioGPT's embedding, a class of its own, and its head."""
    shape: dict[str, Any] = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    plan = meta_model.draw(BioGptConfig(**shape, intermediate_size=64), weights({}))
    embedding = plan.parameters["biogpt.embed_tokens.weight"].numel()
    widened = [each for name, each in plan.parameters.items() if each.ndim == 1 or "embed_positions" in name]
    others = sum(tensor.numel() for tensor in widened)
    assert plan.bytes_widened(2) == plan.bytes_at(2) + 2 * others + 4 * embedding
    assert plan.bytes_widened(4) == plan.bytes_at(4)


def test_weights_of_its_sizes_fit() -> None:
    plan = meta_model.draw(SMALL, weights({}))
    shapes = {name: tuple(tensor.shape) for name, tensor in plan.parameters.items()}
    meta_model.check_sizes(plan, weights(shapes))
    name = "model.norm.weight"
    with pytest.raises(LoadFailed, match=rf"{name} would be 64, the file has 2 x 64"):
        meta_model.check_sizes(plan, weights({**shapes, name: (2, 64)}))
    with pytest.raises(LoadFailed, match="the files have 64"):
        meta_model.check_sizes(plan, weights({name: (64,)}))


def test_a_configuration_that_makes_no_network_is_refused_in_one_line() -> None:
    config = LlamaConfig(vocab_size=97, hidden_size=64, num_attention_heads=4)
    config.hidden_act = "no such function"
    with pytest.raises(LoadFailed, match=r"can't be built|can't build it") as refused:
        meta_model.draw(config, weights({}))
    assert "\n" not in str(refused.value)


def test_no_more_parts_are_built_than_allowed() -> None:
    with pytest.raises(LoadFailed, match="more than 3 parts"), meta_model.at_most(3):
        nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))


def test_numbers_that_rotations_are_computed_from_are_on_the_cpu_and_weights_are_not() -> None:
    with meta_model.counting(), torch.device("meta"):
        few, cut, many = torch.arange(8), torch.arange(1.0, 8, 2), torch.arange(10**12)
        assert nn.Linear(2, 2).weight.is_meta
    assert (few.tolist(), cut.tolist()) == (list(range(8)), [1.0, 3.0, 5.0, 7.0])
    assert many.is_meta, "as large as a configuration says"
    with meta_model.counting():
        assert bool(nn.Embedding(2, 2).weight.all()), "elsewhere they are drawn"
    assert meta_model.draw(SMALL, weights({})).counts


class Mixing(nn.Module):
    """A network that computes with such numbers and with others."""

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.arange(4) * torch.ones(4), requires_grad=False)


def test_a_network_that_computes_on_both_is_built_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_class, "create", lambda config: Mixing())
    plan = meta_model.draw(SMALL, weights({}))
    assert (plan.counts, plan.elements, plan.parameters["slopes"].is_meta) == (False, 4, True)
