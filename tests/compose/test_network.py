"""A bad network between the tiers: cut and healed, slow and lossy. Nothing is lost for good, and nobody has to help."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from containers import GATEWAY, SERVER, Container, Stack, docker, running, until
from readers import Answer, readers
from servers import ROOT


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running() as stack:
        yield stack


@contextlib.contextmanager
def slow(container: Container, delay_ms: int, loss_percent: int) -> Iterator[None]:
    """Holds back and drops what the container sends."""
    program = [sys.executable, str(ROOT / "tests" / "slow_network.py"), "eth0", str(delay_ms), str(loss_percent)]
    enter = ["nsenter", "--net", "--target", str(container.pid)]
    with subprocess.Popen([*enter, *program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.terminate()


def test_delay_and_loss_cost_time_and_nothing_else(stack: Stack) -> None:
    (server,) = stack.containers()
    with readers(stack.url, count=12) as load:
        usual = load.everyone()
        with slow(server, delay_ms=200, loss_percent=5):
            slowed = load.everyone(3)
        load.everyone()
    assert load.failures() == []
    assert min(answer.seconds for answer in slowed) >= 0.2
    print(f"\nmedian_s {median(usual):.3f}, with 200 ms and 5 % loss {median(slowed):.3f}")  # noqa: T201


def median(answers: list[Answer]) -> float:
    return sorted(answer.seconds for answer in answers)[len(answers) // 2]


def test_a_cut_is_said_and_heals_by_itself(stack: Stack) -> None:
    (server,) = stack.containers()
    network = f"{stack.project}_default"
    with readers(stack.url, count=12) as load, httpx.Client(base_url=stack.url, timeout=30) as web:
        load.everyone()
        docker("network", "disconnect", network, server.id)
        until(lambda: load.failures())
        assert web.get("/healthz").status_code == 200
        said = web.get("/readyz")
        assert (said.status_code, said.json()["code"]) == (503, "unavailable")
        assert "can't be reached" in said.json()["error"]
        docker("network", "connect", "--alias", SERVER, network, server.id)
        until(lambda: web.get("/readyz").status_code == 200)
        load.everyone()
    assert {answer.status for answer in load.failures()} <= {503, 504}
    assert all('"code":"unavailable"' in answer.body or answer.status == 504 for answer in load.failures())


def test_the_gateway_starts_without_a_server_and_finds_it_later(stack: Stack) -> None:
    stack.compose("stop", SERVER)
    stack.compose("restart", GATEWAY)
    with httpx.Client(base_url=stack.url, timeout=30) as web:
        until(lambda: answers(web))
        assert "html" in web.get("/").text
        said = web.post("/api/next-token", json={"text": "Once"})
        assert (said.status_code, said.json()["code"]) == (503, "unavailable")
        stack.compose("start", SERVER)
        until(lambda: web.post("/api/next-token", json={"text": "Once"}).status_code == 200)


def answers(web: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return web.get("/healthz").status_code == 200
    return False
