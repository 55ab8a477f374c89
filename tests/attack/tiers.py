"""Both services as the real commands on free ports, and how much memory each takes. Knows no attack."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import psutil
from gateways import GatewayProcess, gateway_process
from ports import free_port
from servers import PATIENCE_S, ServerProcess, server_process

SAMPLE_S = 0.02
MB = 1e6
NOTHING_IN_FLIGHT = re.compile(r"^nexttoken_inference_requests_in_flight 0(\.0)?$", re.MULTILINE)
Address = tuple[str, int]


@dataclass(frozen=True)
class Tiers:
    """Where both services answer, and the processes behind them with their logs."""

    url: str
    """Of the gateway."""
    target: str
    """Of the inference server's gRPC."""
    monitor: Address
    """Of the inference server's metrics and probes."""
    gateway: GatewayProcess
    inference: ServerProcess
    web: httpx.Client
    """An honest HTTP client of the gateway."""

    @property
    def http(self) -> Address:
        """Where raw sockets reach the gateway."""
        parts = urlsplit(self.url)
        return "127.0.0.1", parts.port or 80

    def rest(self) -> None:
        """Returns once the inference server has no request in flight, such as those of an earlier attack."""
        host, port = self.monitor
        limit = time.monotonic() + PATIENCE_S
        while not NOTHING_IN_FLIGHT.search(self.web.get(f"http://{host}:{port}/metrics").text):
            assert time.monotonic() < limit, "the inference server does not come to rest"
            time.sleep(SAMPLE_S)

    @property
    def grpc(self) -> Address:
        """Where raw sockets reach the inference server."""
        host, _, port = self.target.rpartition(":")
        return host, int(port)


@contextlib.contextmanager
def running(inference: Mapping[str, str] | None = None, gateway: Mapping[str, str] | None = None) -> Iterator[Tiers]:
    """Both services with settings of their own (environment variables), once the bundled model answers."""
    port = free_port()
    with server_process({"NEXTTOKEN_METRICS_PORT": str(port), **(inference or {})}, cold=True) as server:
        server.wait_for("model ready", model="bundled")
        with gateway_process({"NEXTTOKEN_INFERENCE_TARGET": server.target, **(gateway or {})}, cold=True) as front:
            assert front.url, front.log()
            with httpx.Client(base_url=front.url, timeout=PATIENCE_S) as web:
                yield Tiers(front.url, server.target, ("127.0.0.1", port), front, server, web)


@dataclass
class Memory:
    """Resident memory of one process in MB: at the start, and the most that was seen since."""

    pid: int
    idle: float = field(init=False)
    peak: float = field(init=False)

    def __post_init__(self) -> None:
        self.idle = self.peak = self.now()

    def now(self) -> float:
        """Resident memory at this moment."""
        return float(psutil.Process(self.pid).memory_info().rss) / MB

    @property
    def grown(self) -> float:
        """MB by which the peak lies above the idle process."""
        return self.peak - self.idle

    @property
    def ratio(self) -> float:
        """The peak over the idle process."""
        return self.peak / self.idle


@contextlib.contextmanager
def measured(*pids: int) -> Iterator[list[Memory]]:
    """Samples processes from a thread until the end; a process that ends fails the test."""
    memories = [Memory(pid) for pid in pids]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_S):
            for memory in memories:
                with contextlib.suppress(psutil.Error):
                    memory.peak = max(memory.peak, memory.now())

    sampler = threading.Thread(target=sample, name="memory")
    sampler.start()
    try:
        yield memories
    finally:
        over.set()
        sampler.join()
    assert all(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids), "a process died"
