"""Which addresses are one client's."""

import pytest

from service_kit.clients import client_at


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("2001:DB8:1:3::9", "2001:db8:1:3::"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_one_client_per_address_and_per_64_bits(address: str, client: str) -> None:
    assert client_at(address) == client
