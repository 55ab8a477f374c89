"""Checks Host headers against DNS rebinding.

A foreign page can point its own name at this machine, so that browsers take us for that page's server and let it read
our answers. The Host header still contains the foreign name.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

ANY = "*"  # allows every name
HERE = ("localhost", "127.0.0.1", "[::1]")  # names for this machine
AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/]*)(:\d*)?")  # host, optional port


def answers_to(host_header: str, bound: str, listed: Sequence[str]) -> bool:
    """Whether a port bound to `bound` should answer a request with this Host header.

    `listed` names are exact, or `*.example.org` for one more label, or `*`. Without any, a port on loopback answers to
    this machine's names and `bound`, any other port to all names.
    """
    if ANY in listed or not (listed or on_loopback(bound)):
        return True
    name = name_in(host_header)
    above = name.partition(".")[2]
    names = {each.lower() for each in listed or (*HERE, bracketed(bound))}
    return bool(name) and (name in names or f"*.{above}" in names)


def by_address(host_header: str) -> bool:
    """Whether the host is an address, `localhost` or missing, none of which DNS rebinding can use."""
    name = name_in(host_header)
    if not host_header or name in HERE:
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=16)
def on_loopback(bound: str) -> bool:
    """Whether the address is reachable from this machine only."""
    try:
        return ipaddress.ip_address(bound).is_loopback
    except ValueError:
        return bound.lower() == "localhost"


def name_in(host_header: str) -> str:
    """The host in lower case, without the port; empty if invalid."""
    found = AUTHORITY.fullmatch(host_header.lower())
    return found[1] if found else ""


def bracketed(bound: str) -> str:
    """An address in Host header notation."""
    return f"[{bound}]" if ":" in bound else bound
