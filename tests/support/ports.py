"""TCP ports for services that are told theirs, or must come back at it."""

import contextlib
import random
import socket

# Below those that Linux gives to outgoing connections and to port 0, above those of Ray's workers.
PORTS = range(20_000, 32_768)


def free_port() -> int:
    """A port nobody listens on. No call in any process returns it again while this one lives."""
    while True:
        port = random.choice(PORTS)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # UDP's port of this number is in no service's way
        with contextlib.suppress(OSError), socket.socket() as probe:
            claim.bind(("127.0.0.1", port))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            claim.detach()  # stays open until the process ends
            return port
        claim.close()
