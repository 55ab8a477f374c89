"""What an attack must not do to the others: the bounds that every test here asserts, in one place."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from attack.bystander import Bystander, OverGrpc, OverHttp, standing_by
from attack.tiers import Memory, Tiers, measured

GROWN_MB = 40.0  # of a process under attack over the same process before


@dataclass(frozen=True)
class Guarded:
    """What is watched while a test attacks."""

    gateway: Memory
    inference: Memory
    visitor: Bystander
    """Asks the gateway."""
    caller: Bystander
    """Asks the inference server."""


@contextlib.contextmanager
def guarded(tiers: Tiers, gateway_mb: float = GROWN_MB, inference_mb: float = GROWN_MB) -> Iterator[Guarded]:
    """Attack within it. At the end: both processes live, neither grew by more, and both bystanders got right answers.

    The bystanders ask before, meanwhile and after; over HTTP from another address than 127.0.0.1.
    """
    tiers.rest()
    with standing_by([OverHttp(tiers.http), OverGrpc(tiers.target)]) as (visitor, caller):
        visitor.more()
        caller.more()
        with measured(tiers.gateway.process.pid, tiers.inference.process.pid) as (gateway, inference):
            yield Guarded(gateway, inference, visitor, caller)
            visitor.more()
            caller.more()
    visitor.assert_unharmed()
    caller.assert_unharmed()
    for name, memory, most in (("gateway", gateway, gateway_mb), ("inference server", inference, inference_mb)):
        assert memory.grown <= most, f"the {name} grew from {memory.idle:.0f} to {memory.peak:.0f} MB"
