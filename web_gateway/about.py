"""What the two tiers are, as plain values: versions, limits, age. Knows no calls, and tells no secrets."""

import time
from typing import Annotated

from msgspec import Meta, Struct

from service_kit.versions import versions
from web_gateway.settings import Settings

PARTS = {"grpc": "grpcio", "starlette": "starlette"}
MAX_ANSWER_BYTES = 16 * 2**20  # of a message from the inference server


class ServerVersions(Struct, frozen=True, kw_only=True):
    """What the inference server runs on; empty: not installed."""

    project: str
    python: str
    grpc: str
    torch: str
    transformers: str


class ServerLimits(Struct, frozen=True, kw_only=True):
    """What the inference server allows."""

    max_text_bytes: int
    max_prompt_tokens: Annotated[int, Meta(description="Of the default model; 0 until it is ready.")]
    max_top_k: int
    max_score_top_k: int
    max_watch_token_ids: int
    max_draws: int
    max_request_bytes: int
    max_response_bytes: int
    queue_limit: Annotated[int, Meta(description="Requests in flight before new ones are refused.")]


class ServerInfo(Struct, frozen=True, kw_only=True):
    """What the inference server is, or the one of several that answered."""

    versions: ServerVersions
    limits: ServerLimits
    default_model: str
    uptime_s: Annotated[float, Meta(description="Seconds since it started.")]


class GatewayVersions(Struct, frozen=True, kw_only=True):
    """What the gateway runs on."""

    project: str
    python: str
    grpc: str
    starlette: str


class GatewayLimits(Struct, frozen=True, kw_only=True):
    """What the gateway allows."""

    max_body_bytes: int
    max_answer_bytes: Annotated[int, Meta(description="Longest message it reads from the inference server.")]
    timeout_s: Annotated[float, Meta(description="Seconds a request may take before 504.")]


class GatewayInfo(Struct, frozen=True, kw_only=True):
    """What the gateway is."""

    versions: GatewayVersions
    limits: GatewayLimits
    uptime_s: Annotated[float, Meta(description="Seconds since it started.")]


class Info(Struct, frozen=True, kw_only=True):
    """What both tiers are."""

    gateway: GatewayInfo
    inference: ServerInfo


class About:
    """Knows since when the gateway runs; asked at any time."""

    def __init__(self, settings: Settings) -> None:
        self._versions = GatewayVersions(**versions(PARTS))
        self._limits = GatewayLimits(
            max_body_bytes=settings.max_body_bytes, max_answer_bytes=MAX_ANSWER_BYTES, timeout_s=settings.timeout_s
        )
        self._since = time.monotonic()

    def with_server(self, inference: ServerInfo) -> Info:
        """Both tiers, as they are at this moment."""
        uptime_s = time.monotonic() - self._since
        gateway = GatewayInfo(versions=self._versions, limits=self._limits, uptime_s=uptime_s)
        return Info(gateway=gateway, inference=inference)
