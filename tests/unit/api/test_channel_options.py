"""How long messages and connections may be, as plain numbers."""

import pytest

from inference_server.api.channel_options import MIN_REQUEST_BYTES, REQUEST_ROOM_BYTES, aging, options
from inference_server.settings import Settings


@pytest.mark.parametrize(("text", "message"), [(1_000, MIN_REQUEST_BYTES), (8 << 20, (8 << 20) + REQUEST_ROOM_BYTES)])
def test_the_longest_text_fits_a_message(text: int, message: int) -> None:
    assert dict(options(Settings(max_text_bytes=text)))["grpc.max_receive_message_length"] == message


def test_no_option_is_given_twice() -> None:
    names = [name for name, _ in options(Settings(connection_age_s=5))]
    assert len(names) == len(set(names))


def test_connections_age_where_asked() -> None:
    assert aging(0) == []
    assert dict(aging(0.0001))["grpc.max_connection_age_ms"] == 1  # 0 would be no time at all
    assert dict(aging(2.5))["grpc.max_connection_age_ms"] == 2500
