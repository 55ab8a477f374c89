"""What the Info RPC returns: versions, limits, uptime."""

import time

from inference_server.api.channel_options import MAX_RESPONSE_BYTES, max_request_bytes
from inference_server.messages import Info, Limits
from inference_server.models.registry import Registry
from inference_server.settings import Settings
from service_kit.versions import versions

PARTS = {"grpc": "grpcio", "torch": "torch", "transformers": "transformers"}


class ServerInfo:
    """The server's versions and limits; its uptime counts from construction."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        self._versions = versions(PARTS)
        self._started = time.monotonic()

    def now(self) -> Info:
        default = next(model for model in self._registry.models() if model.is_default)
        limits = Limits(
            max_text_bytes=self._settings.max_text_bytes,
            max_prompt_tokens=default.facts.context_limit if default.facts else 0,
            max_request_bytes=max_request_bytes(self._settings),
            max_response_bytes=MAX_RESPONSE_BYTES,
            queue_limit=self._settings.queue_limit,
        )
        return Info(self._versions, limits, default.name, time.monotonic() - self._started)
