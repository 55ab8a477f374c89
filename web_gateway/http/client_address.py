"""Who asks, as far as an address can tell. Knows addresses; no request's content and no setting."""

from ipaddress import ip_address

from starlette.types import Scope

from service_kit.clients import client_at

UNNAMED = "unnamed"  # all those whose proxy wrote no address


def visitor(address: str) -> str:
    """One name for all addresses that one visitor has at hand. Words that are no address are nobody's: UNNAMED."""
    try:
        ip_address(address.partition("%")[0])
    except ValueError:
        return UNNAMED
    return client_at(address)


def visitor_of(scope: Scope) -> str:
    """The visitor that a request came from."""
    return visitor(scope["client"][0] if scope.get("client") else "")
