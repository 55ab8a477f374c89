"""More than the containers can do, and much for a while: they say so, keep within their limits, and are as before."""

import asyncio
import json
import re
from collections.abc import Iterator

import psutil
import pytest
from bench import overload, soak
from bench.stack import percentile
from containers import GATEWAY, SERVER, Container, Stack, docker, running

PRESSED_S = 8.0
SOAKED_S = 45.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    limits = {"NEXTTOKEN_QUEUE_LIMIT": str(overload.QUEUE_LIMIT), "NEXTTOKEN_CACHE_MB": soak.CACHE_MB}
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
    processes = [python_of(stack.containers(service)[0]) for service in (SERVER, GATEWAY)]
    soaked, vitals, grown = asyncio.run(soak.soak(stack.url, processes, SOAKED_S))
    assert soaked.wrong == []
    assert grown == []
    ratios = [round(each.memory_ratio(), 3) for each in vitals]
    print(f"\nsoak_memory_ratio {ratios[0]}, of the gateway {ratios[1]}; {dict(soaked.outcomes)}")  # noqa: T201
    assert max(ratios) <= 1.05
    metrics = docker("exec", stack.containers()[0].id, "python", "-c", READ_METRICS)
    values = dict(re.findall(r"^nexttoken_inference_(\S+) (\S+)$", metrics, re.MULTILINE))
    assert {values[name] for name in ("requests_in_flight", "queue_depth", "clients")} == {"0.0"}
    for cache in ("distribution_cache_{}", 'kv_cache_{}{{model="bundled"}}'):
        assert 0 < float(values[cache.format("bytes")]) <= float(values[cache.format("limit_bytes")])


READ_METRICS = "import urllib.request as web; print(web.urlopen('http://localhost:9464/metrics').read().decode())"
