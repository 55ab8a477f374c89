"""More than the containers can do, and much for a while: they say so, keep within their limits, and are as before."""

import asyncio
import json
from collections.abc import Iterator

import psutil
import pytest
from bench import overload, soak
from bench.stack import percentile
from bench.vitals import Vitals, not_accounted_for
from containers import GATEWAY, PROBES_PORT, SERVER, Container, Stack, running

PRESSED_S = 8.0
SOAKED_S = 20.0  # `make soak` takes ten minutes


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    limits = {"NEXTTOKEN_QUEUE_LIMIT": str(overload.QUEUE_LIMIT), "NEXTTOKEN_CACHE_MB": soak.CACHE_MB}
    limits["NEXTTOKEN_CLIENT_SHARE"] = "1"  # all callers come from one address
    with running(**limits, NEXTTOKEN_LOOKAHEAD="0") as stack:
        yield stack


def python_of(container: Container) -> psutil.Process:
    """The service itself, behind the container's init."""
    (service,) = psutil.Process(container.pid).children()
    return service


def test_too_many_callers_are_told_when_to_come_back(stack: Stack) -> None:
    met = asyncio.run(overload.press(stack.url, overload.CALLERS, PRESSED_S))
    assert set(met.counts()) == {200, 429}, [answer for answer in met.answers if answer.status not in (200, 429)][:3]
    assert met.told_when()
    for service in (SERVER, GATEWAY):
        known = stack.containers(service)[0].inspect()
        assert not known["State"]["OOMKilled"]
        assert known["RestartCount"] == 0
    after = asyncio.run(overload.press(stack.url, 1, 1.0))
    assert set(after.counts()) == {200}
    figures = {"refused": met.counts()[429], "overload_refusal_p99_ms": round(percentile(met.ended(429), 0.99), 1)}
    print(f"\n{json.dumps(figures)}")  # noqa: T201


def test_nothing_grows(stack: Stack) -> None:
    (server,), (gateway,) = stack.containers(SERVER), stack.containers(GATEWAY)
    vitals = [
        Vitals(python_of(server), f"http://{server.address}:{PROBES_PORT}/metrics"),
        Vitals(python_of(gateway), f"{stack.url}/metrics"),
    ]
    soaked, grown = asyncio.run(soak.soak(stack.url, vitals, SOAKED_S))
    assert soaked.wrong == []
    assert grown == []
    ratios = [round(each.memory_ratio(), 3) for each in vitals]
    print(f"\nsoak_memory_ratio {ratios[0]}, of the gateway {ratios[1]}; {dict(soaked.outcomes)}")  # noqa: T201
    assert max(ratios) <= 1.05
    assert not_accounted_for(asyncio.run(vitals[0].metrics())) == []
