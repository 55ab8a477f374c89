"""The weights of one token's attention, against softmax written out."""

import pytest
import torch

from inference_server.attention.batch import Batch, Segment
from inference_server.attention.weights import WeighingPass, weigh
from inference_server.kvcache.radix_cache import BlockTable


def written_out(
    query: torch.Tensor, keys: torch.Tensor, scaling: float, cap: float | None, seen: list[bool]
) -> torch.Tensor:
    rows = []
    for head, own in enumerate(query):
        group = keys[head * len(keys) // len(query)]
        scores = [float(own.double() @ key.double()) * scaling for key in group]
        scores = scores if cap is None else [cap * float(torch.tanh(torch.tensor(score / cap))) for score in scores]
        shares = [
            torch.exp(torch.tensor(score)) if visible else torch.tensor(0.0)
            for score, visible in zip(scores, seen, strict=True)
        ]
        rows.append(torch.stack(shares) / sum(shares))
    return torch.stack(rows)


@pytest.mark.parametrize("cap", [None, 0.7])
@pytest.mark.parametrize("seen", [[True] * 5, [False, False, True, True, True]])
def test_weights_are_the_softmax_of_scaled_capped_visible_scores(cap: float | None, seen: list[bool]) -> None:
    draw = torch.Generator().manual_seed(1)
    query, keys = torch.randn(4, 8, generator=draw), torch.randn(2, 5, 8, generator=draw)
    found = weigh(query, keys, 0.3, cap, None if all(seen) else torch.tensor(seen))
    torch.testing.assert_close(found, written_out(query, keys, 0.3, cap, seen), atol=1e-6, rtol=0)
    assert found.sum(-1).tolist() == pytest.approx([1.0] * 4)


def test_a_pass_keeps_the_last_tokens_weights_by_layer() -> None:
    draw = torch.Generator().manual_seed(2)
    query, key, value = (torch.randn(2, 3, 4, generator=draw) for _ in range(3))
    weights = dict[int, torch.Tensor]()
    batch = Batch([Segment(BlockTable(blocks=[0]), [5, 6, 7])], 3)
    mixed = WeighingPass(batch, None, weights).attend(4, query, key, value, 0.5, None, None)
    assert list(weights) == [4]
    torch.testing.assert_close((weights[4][:, None] @ value)[:, 0], mixed[-1])
