"""For which models there is a runner, and that the others are left as they were. Its numbers: tests/models."""

import pytest
import torch
from models.shapes import build

from inference_server.runtime.capability import build_runner, take_sample

ROOM = 1 << 20


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_model_that_fits_has_one(name: str) -> None:
    assert build_runner(build(name), ROOM, compiled=False) is not None


def test_one_that_does_not_is_left_as_it_was() -> None:
    model = build("bloom")
    before = model.config._attn_implementation
    assert build_runner(model, ROOM, compiled=False) is None
    assert model.config._attn_implementation == before


def test_without_room_there_is_none() -> None:
    assert build_runner(build("llama"), 0, compiled=False) is None


@torch.inference_mode()
def test_a_sample_has_the_models_own_logits_after_each_token_and_each_alternative() -> None:
    model = build("llama")
    sample = take_sample(model)
    prompt, (one, other, again) = sample.prompt, sample.alternatives
    assert (len(set(sample.alternatives)), again) == (2, one)
    expected = [model(torch.tensor([prompt])).logits[0]]
    expected += [model(torch.tensor([[*prompt, token]])).logits[0, -1:] for token in (one, other, again)]
    torch.testing.assert_close(sample.wanted, torch.cat(expected))
