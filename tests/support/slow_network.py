"""Holds back and drops what leaves a network interface, as `tc netem` does, for kernels that lack it.

    nsenter --net --target PID python tests/support/slow_network.py INTERFACE DELAY_MS LOSS_PERCENT

Each packet is queued to this program by iptables and let go, or dropped, by its verdict. Ends on SIGTERM, and leaves no
trace. Needs root.
"""

import heapq
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

NETFILTER, QUEUE_SUBSYSTEM = 12, 3
PACKET, VERDICT, CONFIG = 0, 1, 2
COMMAND, PARAMETERS, BIND, METADATA_ONLY = 1, 2, 1, 1
PACKET_HEADER, VERDICT_HEADER = 1, 2
DROP, ACCEPT = 0, 1
QUEUE = 5


def message(kind: int, attribute: int, value: bytes) -> bytes:
    """One netlink message about the queue, with one attribute."""
    padded = struct.pack("=HH", 4 + len(value), attribute) + value + b"\0" * (-len(value) % 4)
    body = struct.pack("=BBH", 0, 0, socket.htons(QUEUE)) + padded
    return struct.pack("=LHHLL", 16 + len(body), QUEUE_SUBSYSTEM << 8 | kind, 1, 0, 0) + body


def packets(received: bytes) -> Iterator[int]:
    """The ids of the packets that messages tell of."""
    while len(received) >= 16:
        size, kind = struct.unpack_from("=LH", received)
        at = 20
        while kind == QUEUE_SUBSYSTEM << 8 | PACKET and at + 4 <= size:
            length, attribute = struct.unpack_from("=HH", received, at)
            if attribute == PACKET_HEADER:
                yield struct.unpack_from("!L", received, at + 4)[0]
            at += length + -length % 4
        received = received[size + -size % 4 :]


def hold_back(delay_s: float, loss: float) -> None:
    """Decides on packets for ever."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as netlink:
        netlink.bind((0, 0))
        netlink.send(message(CONFIG, COMMAND, struct.pack("!BxH", BIND, 0)))
        netlink.send(message(CONFIG, PARAMETERS, struct.pack("!LB", 0, METADATA_ONLY)))
        held: list[tuple[float, int]] = []
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            wait_s = max(0.0, held[0][0] - time.monotonic()) if held else None
            if select.select([netlink], [], [], wait_s)[0]:
                for packet in packets(netlink.recv(1 << 16)):
                    if random.random() < loss:
                        netlink.send(message(VERDICT, VERDICT_HEADER, struct.pack("!LL", DROP, packet)))
                    else:
                        heapq.heappush(held, (time.monotonic() + delay_s, packet))
            while held and held[0][0] <= time.monotonic():
                packet = heapq.heappop(held)[1]
                netlink.send(message(VERDICT, VERDICT_HEADER, struct.pack("!LL", ACCEPT, packet)))


def main() -> None:
    """The command."""
    interface, delay_ms, loss_percent = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    rule = ["OUTPUT", "-o", interface, "-j", "NFQUEUE", "--queue-num", str(QUEUE), "--queue-bypass"]
    subprocess.run(["iptables", "-I", *rule], check=True)
    try:
        hold_back(float(delay_ms) / 1000, float(loss_percent) / 100)
    finally:
        subprocess.run(["iptables", "-D", *rule], check=True)


if __name__ == "__main__":
    main()
