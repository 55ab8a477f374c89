"""The port for metrics and probes, under attack: a probe is answered whatever others do with the port."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from ports import free_port
from servers import server_process

from attack import raw
from attack.guard import Guarded
from attack.tiers import Address, Tiers

PROBES = 20


def probed(address: Address, path: str = "/healthz") -> int:
    """The status a probe gets."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=raw.PATIENCE_S)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextlib.contextmanager
def dripping(address: Address, count: int, drip: bytes, beginning: bytes = b"GET / HTTP/1.1\r\n") -> Iterator[None]:
    """Connections whose heads never end, a few bytes every now and then; each comes back when it is cut off."""
    over = threading.Event()

    def hold() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(address, raw.PATIENCE_S) as connection:
                connection.sendall(beginning)
                while not over.wait(0.1):
                    connection.sendall(drip)

    threads = [threading.Thread(target=hold, name=f"drip {number}") for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("count", [64, pytest.param(400, marks=pytest.mark.slow_attack)])
def test_a_probe_gets_through_dripping_connections(tiers: Tiers, watched: Guarded, count: int) -> None:
    with dripping(tiers.monitor, count, b"x: y\r\n"):
        assert [probed(tiers.monitor) for _ in range(PROBES)] == [200] * PROBES
        assert probed(tiers.monitor, "/metrics") == 200


def test_a_probe_gets_through_connections_that_come_and_go(tiers: Tiers, watched: Guarded) -> None:
    over = threading.Event()

    def knock() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                socket.create_connection(tiers.monitor, raw.PATIENCE_S).close()

    threads = [threading.Thread(target=knock) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert [probed(tiers.monitor) for _ in range(PROBES)] == [200] * PROBES
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_probe_gets_through_connections_that_read_nothing(tiers: Tiers, watched: Guarded) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(tiers.monitor)
            raw.send(connection, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert [probed(tiers.monitor) for _ in range(PROBES)] == [200] * PROBES


def test_a_head_has_so_long_and_so_many_bytes(tiers: Tiers, watched: Guarded) -> None:
    with raw.connected(tiers.monitor) as connection, raw.connected(tiers.monitor) as silent:
        lines = (b"x: y\r\n" * 1000 for _ in range(10_000))
        assert raw.pour(connection, [b"GET / HTTP/1.1\r\n", *lines]) < 10_000_000
        assert raw.closes(connection)
        raw.send(silent, b"GET /healthz HTTP/1.1\r\n")
        assert raw.closes(silent)


@pytest.mark.parametrize("name", [b"localhost", b"127.0.0.1:1234", b"[::1]", b"LOCALHOST:80"])
def test_names_of_this_machine_are_answered(tiers: Tiers, name: bytes) -> None:
    heard = raw.exchange(tiers.monitor, b"GET /healthz HTTP/1.1\r\nhost: " + name + b"\r\n\r\n")
    assert (heard.statuses, heard.closed) == ([200], True)


@pytest.mark.parametrize("path", [b"/metrics", b"/healthz", b"/nowhere"])
@pytest.mark.parametrize(
    "name", [b"evil.example", b"evil.example:50052", b"localhost.evil.example", b"", b"a@localhost"]
)
def test_another_name_is_refused(tiers: Tiers, name: bytes, path: bytes) -> None:
    heard = raw.exchange(tiers.monitor, b"GET " + path + b" HTTP/1.1\r\nhost: " + name + b"\r\n\r\n")
    assert heard.statuses == [421]
    told = json.loads(heard.answers[0].body)
    assert told["code"] == "misdirected_request"
    assert "NEXTTOKEN_METRICS_HOST" in told["error"]


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_a_request_without_one_host_is_none(tiers: Tiers, request_: bytes) -> None:
    heard = raw.exchange(tiers.monitor, request_)
    assert (heard.statuses, heard.closed) == ([400], True)


def test_a_port_that_others_reach_is_asked_by_any_name() -> None:
    port = free_port()
    with server_process({"NEXTTOKEN_METRICS_HOST": "0.0.0.0", "NEXTTOKEN_METRICS_PORT": str(port)}) as server:
        server.wait_for("listening")
        monitor = ("127.0.0.1", port)
        heard = raw.exchange(monitor, b"GET /healthz HTTP/1.1\r\nhost: inference_server:50052\r\n\r\n")
        assert heard.statuses == [200]
        assert raw.exchange(monitor, b"GET /healthz HTTP/1.1\r\n\r\n").statuses == [400]
