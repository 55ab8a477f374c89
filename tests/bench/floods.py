"""What each flood of tests/attack costs the others: the flooded processes' memory, and how long a bystander waits.

`python -m bench.floods [NAME ...]`. The bystander's usual p99 is measured just before each flood, beside services that have already withstood the floods
before it. Memory is compared with that of the services once they answer.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from attack.bystander import Bystander, OverGrpc, OverHttp, standing_by
from attack.floods import AT_GATEWAY, AT_INFERENCE, flooding
from attack.tiers import Memory, Tiers, measured, running

from bench.stack import percentile

SECONDS = 8.0


@dataclass(frozen=True)
class Suffered:
    """What one flood did: peak memory over idle memory, p99 over usual p99, and how many answers were not right."""

    gateway: float
    inference: float
    slowed: float
    failed: int
    asked: int


def suffer(tiers: Tiers, name: str, idle: tuple[float, float], seconds: float) -> Suffered:
    """Floods the services for that long, and asks the flooded one meanwhile."""
    ask = OverHttp(tiers.http) if name in AT_GATEWAY else OverGrpc(tiers.target)
    processes = (tiers.gateway.process.pid, tiers.inference.process.pid)
    with standing_by([ask]) as (bystander,), measured(*processes) as (gateway, inference):
        time.sleep(seconds)
        usual, before = p99(bystander, 0), len(bystander.asked)
        with flooding(name, tiers, seconds):
            pass
        bystander.more(1)
        under = p99(bystander, before)
    faults = [asked.fault for asked in bystander.asked[before:] if asked.fault]
    asked = len(bystander.asked) - before
    return Suffered(gateway.peak / idle[0], inference.peak / idle[1], under / usual, len(faults), asked)


def p99(bystander: Bystander, since: int) -> float:
    """Seconds within which all but a hundredth of the questions ended."""
    return percentile(bystander.seconds()[since:], 0.99)


def measure(seconds: float = SECONDS, names: Sequence[str] = (*AT_GATEWAY, *AT_INFERENCE)) -> dict[str, float]:
    """All figures of this benchmark, or those of some floods; prints them as a table."""
    with running() as tiers:
        ask = OverHttp(tiers.http)
        with standing_by([ask]) as (bystander,):
            bystander.more(50)
        idle = (Memory(tiers.gateway.process.pid).idle, Memory(tiers.inference.process.pid).idle)
        met = {name: suffer(tiers, name, idle, seconds) for name in names}
    print(f"floods of {seconds:g} s, one client's each: memory over idle, a bystander's p99 over usual, wrong answers")
    for name, each in met.items():
        print(
            f"  {name:16} gateway {each.gateway:6.2f}  inference server {each.inference:6.2f}"
            f"  p99 {each.slowed:6.2f}  {each.failed} of {each.asked} not answered"
        )
    return {
        "flood_memory_over_idle": round(max(each.gateway for each in met.values()), 3),
        "flood_inference_memory_over_idle": round(max(each.inference for each in met.values()), 3),
        "flood_bystander_p99_ratio": round(max(each.slowed for each in met.values()), 3),
        "flood_bystander_failures": sum(each.failed for each in met.values()),
    }


if __name__ == "__main__":
    print(json.dumps(measure(names=sys.argv[1:] or (*AT_GATEWAY, *AT_INFERENCE))))
