"""Identifies clients by address."""

from functools import lru_cache
from ipaddress import ip_address

from starlette.types import Scope

from service_kit.clients import client_at

LONGEST = 45  # characters of an address
UNNAMED = "unnamed"  # every client whose proxy sent something other than an address


def visitor(address: str) -> str:
    """One name for all addresses of one client; UNNAMED if this is not an IP address."""
    return _named(address.partition("%")[0][: LONGEST + 1])


@lru_cache(maxsize=4096)
def _named(address: str) -> str:
    try:
        ip_address(address)
    except ValueError:
        return UNNAMED
    return client_at(address)


def visitor_of(scope: Scope) -> str:
    """The client of a request; behind an untrusted proxy, the proxy."""
    return visitor(scope["client"][0] if scope.get("client") else "")
