"""gRPC channel options: keepalive, reconnecting, retries and balancing."""

import json
from typing import Any

from web_gateway.about import MAX_ANSWER_BYTES
from web_gateway.inference.resolver import Addresses
from web_gateway.settings import Settings

OPTIONS = (
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),  # default 30 s: new replicas appear late
    ("grpc.enable_http_proxy", 0),  # the inference server is on the local network
    ("grpc.http2.max_pings_without_data", 0),  # unlimited: a watch can be idle for days
    ("grpc.http2.ping_timeout_ms", 4_000),  # any ping, since keepalive waits for one in flight
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 4_000),  # with keepalive_timeout: a dead host is noticed within 10 s
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # reconnect soon after the server returns
    ("grpc.min_reconnect_backoff_ms", 2_000),  # also the timeout of one attempt
)
SEVERAL = ("dns:", "ipv4:", "ipv6:")  # targets that resolve to several servers; sessions are balanced across them
SESSION_KEY = "x-session"
RAY_OPTIONS = (  # Ray's proxies end connections that are pinged often; what isn't acknowledged in 4 s still ends one
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.keepalive_time_ms", 120_000),
)
RETRYABLE = ("UNAVAILABLE", "CANCELLED")  # a stopping server cancels unstarted calls
RAY_RETRYABLE = (*RETRYABLE, "INTERNAL")  # from a proxy when a replica dies; our own INTERNAL forbids retries
RETRY_POLICY = {"maxAttempts": 3, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 3}
# Until Ray notices that a node is gone, its proxies send calls to the replicas there, or refuse them.
RAY_RETRY_POLICY = {"maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "2s", "backoffMultiplier": 3}
# A failure costs 1 token, a success returns 0.1, and retries stop below half of maxTokens. 400 covers what a server has
# in flight when it dies.
THROTTLING = {"maxTokens": 400, "tokenRatio": 0.1}
BALANCING: dict[str, Any] = {
    "loadBalancingConfig": [
        {"ring_hash_experimental": {"minRingSize": 1024, "maxRingSize": 4096, "requestHashHeader": SESSION_KEY}}
    ],
}
HEALTH_CHECKS = {"healthCheckConfig": {"serviceName": ""}}  # no calls to a server that is loading or stopping


def options(settings: Settings, addresses: Addresses) -> list[tuple[str, Any]]:
    """The options for one channel. The authority and TLS name stay the target's host name, not the resolved address."""
    on_ray = bool(settings.ray_application)
    several = settings.inference_target.startswith(SEVERAL)
    chosen: list[tuple[str, Any]] = list((dict(OPTIONS) | (dict(RAY_OPTIONS) if on_ray else {})).items())
    chosen.append(("grpc.service_config", json.dumps(service_config(several, on_ray))))
    if addresses.authority:
        chosen.append(("grpc.default_authority", addresses.authority))
    if server_name := settings.tls_server_name or addresses.host:
        chosen.append(("grpc.ssl_target_name_override", server_name))
    return chosen


def service_config(several: bool, on_ray: bool) -> dict[str, Any]:
    """How calls are retried, which is safe as they have no side effects, and balanced."""
    ways, codes = (RAY_RETRY_POLICY, RAY_RETRYABLE) if on_ray else (RETRY_POLICY, RETRYABLE)
    policy = {**ways, "retryableStatusCodes": codes}
    method = {"name": [{"service": "nexttoken.v1.NextTokenService"}], "retryPolicy": policy}
    balancing = (BALANCING | ({} if on_ray else HEALTH_CHECKS)) if several else {}
    return {"methodConfig": [method], "retryThrottling": THROTTLING, **balancing}
