"""Which addresses a gateway calls while the servers behind a name come, go and return."""

import socket

import pytest

from web_gateway.inference.resolver import ADDRESS_TTL_S, Addresses

NAME = "dns:///models.example:50051"
A, B, C, D = (("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 1), ("10.0.0.4", 1))
SIX = ("fd00::5", 1)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_until_a_name_is_found_grpc_looks_for_it() -> None:
    addresses = Addresses(NAME)
    assert addresses.target == NAME
    assert not addresses.take([])
    assert addresses.target == NAME
    assert (addresses.host, addresses.authority) == ("models.example", "models.example:50051")


def test_the_list_names_each_address_once_in_one_order() -> None:
    addresses = Addresses(NAME)
    assert addresses.take([B, A, B])
    assert addresses.target == "ipv4:10.0.0.1:1,10.0.0.2:1"
    assert not addresses.take([A, B])


def test_a_list_of_both_kinds_is_one_of_ipv6() -> None:
    addresses = Addresses(NAME)
    addresses.take([SIX, A])
    assert addresses.target == "ipv6:[::ffff:10.0.0.1]:1,[fd00::5]:1"


def test_who_vanished_keeps_its_place_for_a_while() -> None:
    clock = Clock()
    addresses = Addresses(NAME, clock)
    addresses.take([A, B, C])
    clock.now += ADDRESS_TTL_S - 1
    assert not addresses.take([A, B])
    assert not addresses.take([A, B, C])
    clock.now += ADDRESS_TTL_S - 1
    assert not addresses.take([A, B])
    clock.now += 1
    assert addresses.take([A, B])
    assert addresses.target == "ipv4:10.0.0.1:1,10.0.0.2:1"


def test_a_new_address_takes_the_place_of_those_that_vanished() -> None:
    addresses = Addresses(NAME)
    addresses.take([A, B, C])
    assert addresses.take([A, B, D])
    assert addresses.target == "ipv4:10.0.0.1:1,10.0.0.2:1,10.0.0.4:1"


def test_a_name_that_is_lost_leaves_all_as_they_were() -> None:
    clock = Clock()
    addresses = Addresses(NAME, clock)
    addresses.take([A, B])
    clock.now += 10 * ADDRESS_TTL_S
    assert not addresses.take([])
    assert addresses.target == "ipv4:10.0.0.1:1,10.0.0.2:1"


@pytest.mark.parametrize("target", ["dns:///localhost:7", "dns:localhost:7"])
async def test_a_name_is_looked_up_as_this_machine_does(target: str) -> None:
    addresses = Addresses(target)
    assert await addresses.look()
    assert "127.0.0.1:7" in addresses.target or "::1]:7" in addresses.target
    found = {place[0] for *_, place in socket.getaddrinfo("localhost", 7, type=socket.SOCK_STREAM)}
    assert all(str(host) in addresses.target for host in found)
    assert not await addresses.look()


@pytest.mark.parametrize("name", ["nobody.invalid", "a" * 64, "a..b"])
async def test_a_name_that_nobody_has_changes_nothing(name: str) -> None:
    addresses = Addresses(f"dns:///{name}:7")
    assert not await addresses.look()
    assert addresses.target == f"dns:///{name}:7"


@pytest.mark.parametrize(
    "target", ["models.example:1", "ipv4:10.0.0.1:1", "unix:/run/socket", "dns://9.9.9.9/models.example:1"]
)
async def test_what_holds_no_name_for_this_machine_is_left_to_grpc(target: str) -> None:
    addresses = Addresses(target)
    assert not await addresses.look()
    assert (addresses.target, addresses.host, addresses.authority) == (target, None, None)
