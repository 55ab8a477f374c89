"""Under each flood the others go on getting right answers, and the flooded process hardly grows."""

import pytest

from attack.floods import FLOODS, flooding
from attack.guard import guarded
from attack.tiers import Tiers

SECONDS = 5.0
INFERENCE_MB = 150.0  # what is stored of the questions
LONG = {"gateway_mb": 80.0, "inference_mb": 450.0}  # one client's share of bodies; its share of the queue, as ids


@pytest.mark.slow_attack
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood(tiers: Tiers, name: str) -> None:
    most = LONG if name == "long_texts" else {"inference_mb": INFERENCE_MB}
    with guarded(tiers, **most), flooding(name, tiers, SECONDS):
        pass
