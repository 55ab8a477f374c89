"""How clients reach a server: channel options with retries, credentials, metadata."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

DEFAULT_PORT = 50051
DEFAULT_TARGET = f"localhost:{DEFAULT_PORT}"
TIMEOUT_S = 30.0
MAX_MESSAGE_BYTES = 256 << 20  # a score of a long text with many alternatives
SERVICE = "nexttoken.v1.NextTokenService"

# gRPC retries by itself and waits as long as a server's grpc-retry-pushback-ms says. No question has a side effect.
RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}


@dataclass(frozen=True)
class Credentials:
    """TLS and a token; without any, the connection is plaintext."""

    token: str = ""
    """Sent as `authorization: Bearer TOKEN`."""
    ca: str | Path | None = None
    """PEM file with the authorities for the server's certificate; with `token` or `certificate` alone: gRPC's own."""
    certificate: str | Path | None = None
    """PEM file with the client's certificate, for servers that require one."""
    key: str | Path | None = None
    """PEM file with its private key."""
    plaintext: bool = False
    """Send the token without encryption: only where nobody else reads the network."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What to send with each call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    @property
    def channel(self) -> grpc.ChannelCredentials | None:
        """None: plaintext. Raises OSError for a file that can't be read."""
        if self.plaintext or not (self.token or self.ca or self.certificate):
            return None
        ca, key, certificate = (
            Path(file).read_bytes() if file else None for file in (self.ca, self.key, self.certificate)
        )
        return grpc.ssl_channel_credentials(ca, key, certificate)


PLAINTEXT = Credentials()


def channel_options() -> list[tuple[str, Any]]:
    """Of a channel."""
    return [
        ("grpc.service_config", json.dumps(RETRIES)),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.lb_policy_name", "round_robin"),
    ]
