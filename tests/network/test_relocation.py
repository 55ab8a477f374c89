"""The model server on one host and the page on another, with nothing between them but a network."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import make_test_ca
import pytest
from gateways import GatewayProcess
from network.hosts import Host, two_hosts
from servers import PATIENCE_S, ServerProcess

HELLO = {"text": "Once upon a time", "top_k": 3, "model": "bundled"}
DEADLINE_S = "15"
SECRET = "a-secret-of-both-hosts"  # noqa: S105


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    with two_hosts() as both:
        yield both


@pytest.fixture(scope="module")
def papers(hosts: tuple[Host, Host], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates for the first host, and a client's."""
    folder = tmp_path_factory.mktemp("papers")
    make_test_ca.write(folder, [hosts[0].address], 1)
    return folder


@pytest.fixture(scope="module")
def server(hosts: tuple[Host, Host], papers: Path) -> Iterator[ServerProcess]:
    """The model server on the first host, which asks for a certificate and for a token."""
    env = {
        "NEXTTOKEN_GRPC_HOST": hosts[0].address,
        "NEXTTOKEN_TLS_CERT": str(papers / "server.pem"),
        "NEXTTOKEN_TLS_KEY": str(papers / "server.key"),
        "NEXTTOKEN_TLS_CLIENT_CA": str(papers / "ca.pem"),
        "NEXTTOKEN_AUTH_TOKEN": SECRET,
    }
    process = ServerProcess(env, through=hosts[0].through)
    try:
        process.wait_for("model ready", model="bundled")
        yield process
    finally:
        process.close()


@pytest.fixture
def page(hosts: tuple[Host, Host]) -> Iterator[Callable[..., GatewayProcess]]:
    """Starts gateways on the second host; they end with the test."""
    started: list[GatewayProcess] = []

    def start(server: ServerProcess, **settings: str) -> GatewayProcess:
        env = {f"NEXTTOKEN_{name.upper()}": value for name, value in settings.items()}
        target = f"{hosts[0].address}:{server.wait_for('listening')['port']}"
        started.append(GatewayProcess({"NEXTTOKEN_INFERENCE_TARGET": target, **env}, through=hosts[1].through))
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()


def shown(papers: Path) -> dict[str, str]:
    """What a gateway needs to get in."""
    return {
        "tls_ca": str(papers / "ca.pem"),
        "tls_client_cert": str(papers / "client.pem"),
        "tls_client_key": str(papers / "client.key"),
        "auth_token": SECRET,
        "timeout_s": DEADLINE_S,
    }


def eventually(ask: Callable[[], tuple[int, dict[str, Any]]], status: int) -> dict[str, Any]:
    """The first answer with that status."""
    limit = time.monotonic() + PATIENCE_S
    while (answer := ask())[0] != status:
        assert time.monotonic() < limit, answer
        time.sleep(0.1)
    return answer[1]


def test_a_click_crosses_the_network(
    hosts: tuple[Host, Host], papers: Path, server: ServerProcess, page: Callable[..., GatewayProcess]
) -> None:
    gateway = page(server, **shown(papers))
    assert eventually(lambda: hosts[1].ask(f"{gateway.url}/readyz"), 200) == {"status": "ready"}
    status, answer = hosts[1].ask(f"{gateway.url}/api/next-token", HELLO)
    assert (status, len(answer["candidates"]), answer["model"]) == (200, 3, "bundled")


@pytest.mark.parametrize(
    ("without", "words"),
    [("tls_ca", "NEXTTOKEN_TLS_CA is not set"), ("auth_token", "send the metadata authorization")],
)
def test_who_shows_less_does_not_get_in(
    hosts: tuple[Host, Host],
    papers: Path,
    server: ServerProcess,
    page: Callable[..., GatewayProcess],
    without: str,
    words: str,
) -> None:
    gateway = page(server, **{name: value for name, value in shown(papers).items() if name != without})
    if gateway.url:
        status, answer = hosts[1].ask(f"{gateway.url}/readyz")
        assert status == 503
        assert words in answer["error"]
    else:
        assert gateway.process.wait(PATIENCE_S) == 1
        assert words in gateway.log()


def test_nothing_goes_unencrypted_from_host_to_host_unless_told(
    hosts: tuple[Host, Host], server: ServerProcess, page: Callable[..., GatewayProcess]
) -> None:
    gateway = page(server)
    assert gateway.process.wait(PATIENCE_S) == 1
    assert "NEXTTOKEN_ALLOW_PLAINTEXT" in gateway.log()
    bare = ServerProcess({"NEXTTOKEN_GRPC_HOST": hosts[0].address}, through=hosts[0].through)
    try:
        assert bare.end() == 1
        assert "NEXTTOKEN_ALLOW_PLAINTEXT" in bare.log[-1]
    finally:
        bare.close()


def test_a_cable_that_is_pulled_is_noticed_before_anyone_s_deadline_and_put_back_it_serves(
    hosts: tuple[Host, Host], papers: Path, server: ServerProcess, page: Callable[..., GatewayProcess]
) -> None:
    gateway = page(server, **shown(papers))
    eventually(lambda: hosts[1].ask(f"{gateway.url}/readyz"), 200)
    hosts[0].unplug()
    try:
        status, answer = hosts[1].ask(f"{gateway.url}/api/next-token", HELLO)
        assert (status, answer["code"]) == (503, "unavailable"), "noticed, and not a deadline that passed"
        assert "Can't reach" in answer["error"]
        assert hosts[1].ask(f"{gateway.url}/readyz")[0] == 503
        assert hosts[1].ask(f"{gateway.url}/healthz")[0] == 200
    finally:
        hosts[0].plug()
    eventually(lambda: hosts[1].ask(f"{gateway.url}/readyz"), 200)
    assert hosts[1].ask(f"{gateway.url}/api/next-token", HELLO)[0] == 200
