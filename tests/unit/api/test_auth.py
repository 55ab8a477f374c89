"""Whom a server believes. Its certificates and tokens: tests/unit/service_kit/test_secrets.py and, over real sockets,
tests/integration/gateway/test_security.py."""

import pytest

from inference_server.api.auth import trusts_callers
from inference_server.settings import Settings


@pytest.mark.parametrize(
    ("settings", "believed"),
    [
        ({}, True),  # plaintext, which stays on this machine
        ({"tls_cert": "server.pem"}, False),  # anybody may call
        ({"tls_cert": "server.pem", "tls_client_ca": "ca.pem"}, True),
        ({"tls_cert": "server.pem", "auth_token": "a-secret-of-enough-characters"}, True),
        ({"tls_cert": "server.pem", "auth_token_file": "token"}, True),
    ],
)
def test_whoever_shows_something_is_believed(settings: dict[str, str], believed: bool) -> None:
    assert trusts_callers(Settings(**settings)) is believed  # type: ignore[arg-type]
