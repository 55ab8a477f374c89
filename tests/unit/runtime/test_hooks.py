"""Hooks keep copies, the newest, and go when their context ends."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inference_server.runtime.hooks import Hooks, last_row, of_output


class Doubling(nn.Module):
    """Returns its state doubled in place, and attention weights beside it."""

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        return hidden_states.mul_(2), torch.tensor([[[[0.1, 0.9], [0.3, 0.7]]]])


def test_what_enters_and_leaves_is_copied_and_the_newest_counts() -> None:
    part, found, weights = Doubling(), dict[str, Tensor](), dict[str, Tensor]()
    state = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    with Hooks() as hooks:
        hooks.entering(part, found, "in", last_row)
        hooks.leaving(part, found, "out", last_row)
        hooks.weighing(part, weights, "weights")
        part(state)
        part(hidden_states=state)
    part(state)
    assert {name: row.tolist() for name, row in found.items()} == {"in": [6.0, 8.0], "out": [12.0, 16.0]}
    torch.testing.assert_close(weights["weights"], torch.tensor([[0.3, 0.7]]))
    assert not part._forward_hooks
    assert not part._forward_pre_hooks


def test_a_module_without_weights_leaves_none() -> None:
    part, weights = nn.Linear(2, 2), dict[str, Tensor]()
    with Hooks() as hooks:
        hooks.weighing(part, weights, "weights")
        part(torch.zeros(1, 2))
    assert weights == {}


@pytest.mark.parametrize("out", [None, {"state": 1}, (1, 2), ["x"]])
def test_an_output_that_is_no_state_is_refused(out: Any) -> None:
    with pytest.raises(TypeError):
        of_output(out)
