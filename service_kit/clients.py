"""Which addresses are one client's, for all that is shared out among clients. Resolves no names."""

from ipaddress import IPv6Address, IPv6Network, ip_address

PREFIX_V6 = 64  # bits: one household or machine has that many addresses for itself


def client_at(address: str) -> str:
    """The client behind an IP address: the address itself, of IPv6 its /64. What is no address stands for itself."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), PREFIX_V6), strict=False).network_address)
