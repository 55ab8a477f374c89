"""Which addresses count as one client, for per-client limits."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

PREFIX_V6 = 64  # a single household or machine usually has a whole /64


@lru_cache(maxsize=4096)
def client_at(address: str) -> str:
    """The client for an address: an IPv4 address, or an IPv6 /64; anything else is returned unchanged."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), PREFIX_V6), strict=False).network_address)
