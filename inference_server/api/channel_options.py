"""How connections are kept: lengths, pings, age, what may wait. Knows settings and the names of gRPC's options."""

import math

from inference_server.settings import Settings

REQUEST_ROOM_BYTES = 1 << 20  # of a message beside its text: ids of a long prompt, watched ids, draws
LEAST_REQUEST_BYTES = 4 << 20  # gRPC's own default
MAX_RESPONSE_BYTES = 64 << 20  # a score of 8,192 tokens with 100 alternatives each takes about 45 MB
KEEPALIVE_MS = 5_000  # a watcher that vanished without a word is found and let go
KEEPALIVE_TIMEOUT_MS = 4_000
LEAST_PING_INTERVAL_MS = 2_000  # the default of 5 minutes would cut off clients that ping every 4 s
CONNECTION_GRACE_MS = 660_000  # longer than any gateway waits for an answer
HANDSHAKE_MS = 10_000

MOST_CONNECTIONS = 512  # well below the 1,024 files that a process may usually have open
MOST_STREAMS = 4_096  # of a connection; gRPC resets what an honest client opens beyond it before others are cleared
MOST_WAITING = 8 * MOST_STREAMS  # some 10 kB each


def options(settings: Settings) -> list[tuple[str, int]]:
    """The gRPC server's options."""
    return [
        ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share its calls
        ("grpc.max_receive_message_length", max_request_bytes(settings)),
        ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),  # of any ping; while one is on its way, none keeps alive
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", LEAST_PING_INTERVAL_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", LEAST_PING_INTERVAL_MS),
        *aging(settings.connection_age_s),
        *waiting(),
    ]


def waiting() -> list[tuple[str, int]]:
    """What gRPC may hold of calls that our event loop has not taken yet.

    Left alone, gRPC drops some of them, anybody's, with a bare CANCELLED as soon as 1,000 wait, or after 30 s. Here
    more may wait than a few connections can send, and for as long as anybody does: the loop takes each, and refuses it
    in words where it must. A connection has so many streams, those counted that were reset and not yet cleared away:
    who opens and resets them without end (rapid reset) has no more of them waiting.
    """
    return [
        ("grpc.max_allowed_incoming_connections", MOST_CONNECTIONS),
        ("grpc.max_concurrent_streams", MOST_STREAMS),
        ("grpc.server.max_pending_requests", MOST_WAITING),
        ("grpc.server.max_pending_requests_hard_limit", MOST_WAITING),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.server_max_unrequested_time_in_server", CONNECTION_GRACE_MS // 1000),
    ]


def max_request_bytes(settings: Settings) -> int:
    """The longest request message."""
    return max(LEAST_REQUEST_BYTES, settings.max_text_bytes + REQUEST_ROOM_BYTES)


def aging(seconds: float) -> list[tuple[str, int]]:
    """Connections end, after the calls on them, once they are this old, give or take a tenth; 0: never.

    Clients that balance ask for the addresses of their target only when a connection ends.
    """
    if not seconds:
        return []
    return [
        ("grpc.max_connection_age_ms", math.ceil(seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_MS),
    ]
