"""Who asks, as far as an address can tell. Knows addresses; no request and no setting."""

from ipaddress import IPv6Address, ip_address

PREFIX_V6 = 64  # bits: one household or machine has that many addresses for itself
UNNAMED = "unnamed"  # all those whose proxy wrote no address


def visitor(address: str) -> str:
    """One name for all addresses that one visitor has at hand. Words that are no address are nobody's: UNNAMED."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return UNNAMED
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> (128 - PREFIX_V6) << (128 - PREFIX_V6)))
