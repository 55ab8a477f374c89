"""Which two modules' outputs a block adds is found by numbers; a block that adds something else is refused."""

import pytest
import torch
from torch import Tensor

from inference_server.runtime.attribution import _pair
from inference_server.runtime.head_path import UnattributableError

NONE = ("", "")


def outputs() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(5)
    names = ("norm", "attention.query", "attention.out", "mlp.up", "mlp.down")
    return {name: torch.randn(4, 16, generator=draw) for name in names}


@pytest.mark.parametrize("factor", [1.0, 0.22, -3.0])
def test_the_pair_and_the_factor_are_found(factor: float) -> None:
    given = outputs()
    change = (given["attention.out"].double() * factor + given["mlp.down"].double() * factor).flatten()
    pair, found = _pair(change, given, 1e-5, NONE)
    assert pair == ("attention.out", "mlp.down")
    assert found == pytest.approx(factor, abs=1e-4)


def test_the_pair_of_the_block_before_is_tried_first() -> None:
    given = {**outputs()}
    given["attention.copy"] = given["attention.out"]
    given = {name: given[name] for name in ("attention.out", "attention.copy", "mlp.down")}
    change = (given["attention.out"] + given["mlp.down"]).double().flatten()
    assert _pair(change, given, 1e-5, ("attention.copy", "mlp.down"))[0] == ("attention.copy", "mlp.down")


def test_a_block_that_adds_something_else_is_refused() -> None:
    given = outputs()
    change = (given["attention.out"] * given["mlp.down"]).double().flatten()
    with pytest.raises(UnattributableError, match="one attention and one MLP"):
        _pair(change, given, 1e-5, NONE)


def test_without_an_attention_nothing_is_named_so() -> None:
    given = {"mixer": outputs()["norm"], "mlp.down": outputs()["mlp.down"]}
    with pytest.raises(UnattributableError):
        _pair((given["mixer"] + given["mlp.down"]).double().flatten(), given, 1e-5, NONE)
