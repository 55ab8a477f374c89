"""gRPC channel options: message sizes, keepalive, connection age, pending calls."""

import math

from inference_server.settings import Settings

REQUEST_ROOM_BYTES = 1 << 20  # for everything but the text: prompt ids, watched ids, draws
MIN_REQUEST_BYTES = 4 << 20  # gRPC's default
MAX_RESPONSE_BYTES = 64 << 20  # a score of 8,192 tokens with 100 alternatives each takes about 45 MB
KEEPALIVE_MS = 5_000  # detects watchers that vanished silently
KEEPALIVE_TIMEOUT_MS = 4_000
MIN_PING_INTERVAL_MS = 2_000  # the default of 5 minutes would disconnect clients that ping every 4 s
CONNECTION_GRACE_MS = 660_000  # longer than any gateway waits for an answer
HANDSHAKE_MS = 10_000

MAX_CONNECTIONS = 512  # well below the usual limit of 1,024 open files
SPARE_STREAMS = 16  # per connection, beyond the requests in flight; a client queues further calls itself
MAX_PENDING = 32_768  # about 10 kB each


def options(settings: Settings) -> list[tuple[str, int]]:
    """The gRPC server's channel options."""
    return [
        ("grpc.so_reuseport", 0),  # a second server on the port must fail, not take part of the calls
        ("grpc.max_receive_message_length", max_request_bytes(settings)),
        ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),  # any ping; a pending one delays keepalive
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", MIN_PING_INTERVAL_MS),
        *aging(settings.connection_age_s),
        *pending_calls(settings.queue_limit),
    ]


def pending_calls(queue_limit: int) -> list[tuple[str, int]]:
    """Limits on calls that the event loop has not accepted yet.

    By default gRPC randomly drops calls with a bare CANCELLED once 1,000 are pending, or after 30 s. These limits are
    more than a few connections can fill, so the event loop gets every call and can reject it with a reason. Few streams
    per connection keep one from filling the event loop with calls, which it takes in order. Streams that were reset but
    not yet cleaned up, about 25 kB each, have a limit of their own, which bounds rapid-reset floods: counted with the
    others, as gRPC does by default, they would get an honest client's next calls reset.
    """
    return [
        ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
        ("grpc.max_concurrent_streams", max_streams(queue_limit)),
        ("grpc.http2.max_deallocating_streams", 2 * max_streams(queue_limit)),
        ("grpc.server.max_pending_requests", MAX_PENDING),
        ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.server_max_unrequested_time_in_server", CONNECTION_GRACE_MS // 1000),
    ]


def max_streams(queue_limit: int) -> int:
    """Streams per connection: more than requests in flight, so that the queue decides about one gateway's calls."""
    return queue_limit + SPARE_STREAMS


def max_request_bytes(settings: Settings) -> int:
    """The largest request message."""
    return max(MIN_REQUEST_BYTES, settings.max_text_bytes + REQUEST_ROOM_BYTES)


def aging(seconds: float) -> list[tuple[str, int]]:
    """Maximum connection age, with 10 % jitter, after which open calls may finish; 0: unlimited.

    Load-balancing clients resolve their target again only when a connection ends.
    """
    if not seconds:
        return []
    return [
        ("grpc.max_connection_age_ms", math.ceil(seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_MS),
    ]
