"""Under each flood the others go on getting right answers, and the flooded process hardly grows."""

import pytest

from attack.floods import FLOODS, flooding
from attack.guard import guarded
from attack.tiers import Tiers

SECONDS = 5.0
INFERENCE_MB = 150.0  # what is stored of the questions
MOST_MB = {"long_texts": 450.0}  # a client's share of the queue, each with a text of a million bytes as ids


@pytest.mark.slow_attack
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood(tiers: Tiers, name: str) -> None:
    with guarded(tiers, inference_mb=MOST_MB.get(name, INFERENCE_MB)), flooding(name, tiers, SECONDS):
        pass
