"""Versions, limits and uptime of both services. Contains no secrets."""

import time
from typing import Annotated

from msgspec import Meta, Struct

from service_kit.versions import versions
from web_gateway.settings import Settings

PARTS = {"grpc": "grpcio", "starlette": "starlette"}
MAX_ANSWER_BYTES = 16 * 2**20  # per gRPC message


class ServerVersions(Struct, frozen=True, kw_only=True):
    """The inference server's versions; empty if not installed."""

    project: str
    python: str
    grpc: str
    torch: str
    transformers: str


class ServerLimits(Struct, frozen=True, kw_only=True):
    """The inference server's limits."""

    max_text_bytes: int
    max_prompt_tokens: Annotated[int, Meta(description="Context window of the default model; 0 until it is ready.")]
    max_top_k: int
    max_score_top_k: int
    max_watch_token_ids: int
    max_draws: int
    max_request_bytes: int
    max_response_bytes: int
    queue_limit: Annotated[int, Meta(description="Maximum requests in flight; more are rejected.")]


class ServerInfo(Struct, frozen=True, kw_only=True):
    """The inference server, or the replica that answered."""

    versions: ServerVersions
    limits: ServerLimits
    default_model: str
    uptime_s: Annotated[float, Meta(description="Seconds since start.")]


class GatewayVersions(Struct, frozen=True, kw_only=True):
    """The gateway's versions."""

    project: str
    python: str
    grpc: str
    starlette: str


class GatewayLimits(Struct, frozen=True, kw_only=True):
    """The gateway's limits."""

    max_body_bytes: int
    max_answer_bytes: Annotated[int, Meta(description="Maximum size of an answer from the inference server.")]
    timeout_s: Annotated[float, Meta(description="Request timeout in seconds.")]


class GatewayInfo(Struct, frozen=True, kw_only=True):
    """The gateway."""

    versions: GatewayVersions
    limits: GatewayLimits
    uptime_s: Annotated[float, Meta(description="Seconds since start.")]


class Info(Struct, frozen=True, kw_only=True):
    """Both services."""

    gateway: GatewayInfo
    inference: ServerInfo


class About:
    """Reports the gateway's versions, limits and uptime."""

    def __init__(self, settings: Settings) -> None:
        self._versions = GatewayVersions(**versions(PARTS))
        self._limits = GatewayLimits(
            max_body_bytes=settings.max_body_bytes, max_answer_bytes=MAX_ANSWER_BYTES, timeout_s=settings.timeout_s
        )
        self._started = time.monotonic()

    def with_server(self, inference: ServerInfo) -> Info:
        """Both services, now."""
        uptime_s = time.monotonic() - self._started
        gateway = GatewayInfo(versions=self._versions, limits=self._limits, uptime_s=uptime_s)
        return Info(gateway=gateway, inference=inference)
