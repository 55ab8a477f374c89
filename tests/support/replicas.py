"""Several inference servers on loopback addresses of their own, and which of them served whom."""

import contextlib
import json
import signal
from collections.abc import Iterator, Mapping

from ports import free_port
from servers import ServerProcess


class Replica:
    """One server that can end and come back at its address."""

    def __init__(self, host: str, env: Mapping[str, str]) -> None:
        self.host = host
        self.port = free_port()
        self._env = env
        self._read = 0
        self.server = self._start()

    def _start(self) -> ServerProcess:
        place = {"NEXTTOKEN_GRPC_HOST": self.host, "NEXTTOKEN_GRPC_PORT": str(self.port)}
        return ServerProcess({**self._env, **place}, ("tests/support/replica.py",))

    def ready(self) -> None:
        """Waits until its model answers."""
        self.server.wait_for("model ready")

    def send(self, number: signal.Signals) -> None:
        """Sends its process a signal."""
        self.server.process.send_signal(number)

    def come_back(self) -> None:
        """Ends the process if it still runs, and starts another one at the same address."""
        self.server.close()
        self._read = 0
        self.server = self._start()
        self.ready()

    def served(self) -> set[str]:
        """The sessions it has answered since the last look, from its log; see load.py for their request ids."""
        lines, self._read = self.server.log[self._read :], len(self.server.log)
        calls = [json.loads(line) for line in lines if '"TopK"' in line]
        return {call["request_id"].partition("-")[0] for call in calls if call.get("code") == "OK"}


@contextlib.contextmanager
def replicas(count: int, env: Mapping[str, str] | None = None) -> Iterator[list[Replica]]:
    """That many servers, ready."""
    found: list[Replica] = []
    try:
        for number in range(1, count + 1):
            found.append(Replica(f"127.0.0.{number}", env or {}))
        for replica in found:
            replica.ready()
        yield found
    finally:
        for replica in found:
            replica.server.close()


def target(found: list[Replica]) -> str:
    """What a gateway in front of them is told."""
    return "ipv4:" + ",".join(f"{replica.host}:{replica.port}" for replica in found)
