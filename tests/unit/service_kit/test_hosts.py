"""Which names a port answers under."""

import pytest

from service_kit.hosts import answers_to, by_address


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "localhost", "LOCALHOST"])
@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost", True),
        ("LocalHost:5005", True),
        ("127.0.0.1:80", True),
        ("[::1]", True),
        ("[::1]:5005", True),
        ("localhost:", True),
        ("evil.example", False),
        ("evil.example:5005", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.localhost", False),
        ("localhost:5005@evil.example", False),
        ("localhost:evil.example", False),
        ("localhost, evil.example", False),
        ("localhost/", False),
        (" localhost", False),
        ("localhost\n", False),
        ("::1", False),
        ("[::1", False),
        ("[::1].evil.example", False),
        ("192.0.2.7", False),
        ("", False),
    ],
)
def test_a_port_on_loopback_answers_under_this_machine_s_own_names(host: str, answered: bool, bound: str) -> None:
    assert answers_to(host, bound, ()) is answered


def test_another_loopback_address_is_a_name_too() -> None:
    assert answers_to("127.0.0.2:5005", "127.0.0.2", ())
    assert not answers_to("127.0.0.2:5005", "127.0.0.1", ())


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_a_port_for_others_answers_under_any_name(bound: str) -> None:
    assert all(answers_to(host, bound, ()) for host in ("example.org", "192.0.2.7:5005", "localhost", ""))


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("example.org", True),
        ("EXAMPLE.org:443", True),
        ("a.example.net", True),
        ("[2001:db8::7]:80", True),
        ("a.b.example.net", False),
        ("example.net", False),
        ("example.org.evil.test", False),
        ("localhost", False),
        ("127.0.0.1", False),
        ("*", False),
        ("", False),
    ],
)
def test_listed_names_decide_alone(host: str, answered: bool, bound: str) -> None:
    assert answers_to(host, bound, ("Example.org", "*.example.net", "[2001:DB8::7]")) is answered


@pytest.mark.parametrize("host", ["evil.example", "localhost:1", "no/host", ""])
def test_a_star_lets_every_name_pass(host: str) -> None:
    assert answers_to(host, "127.0.0.1", ("example.org", "*"))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7:9464", True),
        ("[2001:db8::7]:80", True),
        ("[::1]", True),
        ("localhost:5005", True),
        ("", True),
        ("1.evil.example", False),
        ("localhost.evil.example", False),
        ("no/host", False),
        (":80", False),
    ],
)
def test_an_address_is_told_from_a_name(host: str, address: bool) -> None:
    assert by_address(host) is address
