"""A norm as a linear step: its kind is found by numbers, and other kinds are refused."""

import pytest
import torch
from torch import Tensor, nn

from inference_server.runtime.head_path import FrozenNorm, HeadPath, UnattributableError, frozen

WIDTH = 24


class Shifted(nn.Module):
    """As Gemma's: multiplies by 1 + weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (1 + self.weight)


class Highest(nn.Module):
    """Divides by the highest value: of another kind."""

    def forward(self, x: Tensor) -> Tensor:
        return x / (x.abs().amax(-1, keepdim=True) + 1e-6)


def drawn(norm: nn.Module) -> nn.Module:
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


@pytest.mark.parametrize(
    ("norm", "centred"), [(nn.LayerNorm(WIDTH), True), (nn.RMSNorm(WIDTH), False), (Shifted(), False)], ids=str
)
def test_a_norm_is_linear_once_its_scale_is_frozen(norm: nn.Module, centred: bool) -> None:
    torch.manual_seed(3)
    state = torch.randn(WIDTH) * 0.1
    found = frozen(drawn(norm), state[None, None])
    assert found.centred == centred
    again = found.scale(state) * found.weight * found.inner(state.double()) + found.bias
    torch.testing.assert_close(again, norm(state).detach().double(), atol=1e-5, rtol=1e-4)


def test_another_kind_of_norm_is_refused() -> None:
    with pytest.raises(UnattributableError, match="final norm"):
        frozen(Highest(), torch.zeros(1, 1, WIDTH))


def test_shares_and_the_constant_sum_to_the_difference() -> None:
    torch.manual_seed(4)
    norm, projection, head = drawn(nn.LayerNorm(WIDTH)), nn.Linear(WIDTH, 6), nn.Linear(6, 9)
    state = torch.randn(WIDTH)
    path = HeadPath(frozen(norm, state[None, None]), projection, head, 0.5, capped=False)
    logits = head(projection(norm(state))).detach() * 0.5
    with torch.inference_mode():
        difference, share, constant = path.difference(state, (2, 7))
        halves = share(state * 0.25) + share(state * 0.75)
    assert path.biased
    assert difference == pytest.approx(float(logits[2] - logits[7]), abs=1e-5)
    assert halves + constant == pytest.approx(difference, abs=1e-5)


def test_packed_weights_are_refused() -> None:
    norm = FrozenNorm(nn.LayerNorm(WIDTH), torch.ones(WIDTH).double(), torch.zeros(WIDTH).double(), centred=True)
    path = HeadPath(norm, None, nn.Identity(), 1.0, capped=False)
    with pytest.raises(UnattributableError, match="packed"):
        path.difference(torch.ones(WIDTH), (0, 1))
