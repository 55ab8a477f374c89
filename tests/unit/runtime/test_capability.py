"""For which models there is a runner, and that the others are left as they were. Its numbers: tests/models."""

import pytest
from models.shapes import build

from inference_server.runtime.capability import build_runner

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
