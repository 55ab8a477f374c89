"""Under which names a port answers: what a Host header says against what the operator allows. Knows no transport.

A page elsewhere can let a name of its own point to this machine (DNS rebinding). Its visitors' browsers then take us
for the page's own server and hand it our answers; but the Host header still has the page's name.
"""

import ipaddress
import re
from collections.abc import Sequence

ANY = "*"  # listed, it lets every name pass
HERE = ("localhost", "127.0.0.1", "[::1]")  # what this machine calls itself
AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/]*)(:\d*)?")  # a host and perhaps a port


def answers_to(host_header: str, bound: str, listed: Sequence[str]) -> bool:
    """Whether a port bound to the address `bound` answers a request with this Host header.

    Names that are `listed` decide alone: each stands for itself, `*.example.org` for one more part, `*` for all. With
    none listed a port on loopback answers under this machine's own names and `bound`, any other port under all.
    """
    if ANY in listed or not (listed or on_loopback(bound)):
        return True
    name = name_in(host_header)
    above = name.partition(".")[2]
    names = {each.lower() for each in listed or (*HERE, bracketed(bound))}
    return bool(name) and (name in names or f"*.{above}" in names)


def by_address(host_header: str) -> bool:
    """Whether a port was asked for by address, as `localhost` or by no name: no page can let those point elsewhere."""
    name = name_in(host_header)
    if not host_header or name in HERE:
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def on_loopback(bound: str) -> bool:
    """Whether only this machine reaches a port that is bound to this address."""
    try:
        return ipaddress.ip_address(bound).is_loopback
    except ValueError:
        return bound.lower() == "localhost"


def name_in(host_header: str) -> str:
    """The header's host in small letters, without its port; empty where the header holds none."""
    found = AUTHORITY.fullmatch(host_header.lower())
    return found[1] if found else ""


def bracketed(bound: str) -> str:
    """An address as a Host header has it."""
    return f"[{bound}]" if ":" in bound else bound
