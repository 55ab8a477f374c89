"""Parses gRPC targets."""

from ipaddress import ip_address

DEFAULT_PORT = 443
LOCAL_SCHEMES = ("unix:", "unix-abstract:")
LIST_SCHEMES = ("ipv4:", "ipv6:")
OTHER_SCHEMES = ("xds:", "passthrough:", "vsock:")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is loopback."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def addresses(target: str) -> list[tuple[str, int]]:
    """(host, port) of each address in a target; none for Unix sockets and unsupported schemes."""
    if target.startswith((*LOCAL_SCHEMES, *OTHER_SCHEMES)):
        return []
    if target.startswith(LIST_SCHEMES):
        return [split(address) for address in target[len("ipv4:") :].lstrip("/").split(",")]
    if target.startswith("dns:"):
        target = target.removeprefix("dns:")
        if target.startswith("//"):
            target = target[2:].partition("/")[2]
    return [split(target)]


def name_in(target: str) -> tuple[str, int] | None:
    """(host, port) of a `dns:` target for the default resolver; None for other targets."""
    host = target.removeprefix("dns:")
    if host == target or (host.startswith("//") and not host.startswith("///")):
        return None
    return split(host.lstrip("/"))


def split(address: str) -> tuple[str, int]:
    """Splits host:port, [host]:port or host."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.startswith("[")):
        return address.strip("[]"), DEFAULT_PORT
    return host.strip("[]"), int(port)


def stays_here(target: str) -> bool:
    """Whether a target is on this machine."""
    found = addresses(target)
    return target.startswith(LOCAL_SCHEMES) or (bool(found) and all(is_loopback(host) for host, _ in found))
