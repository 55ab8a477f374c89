"""Each odd request is refused in the one shape, or answered once; none is taken for two, and none is a 500."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from attack.guard import guarded
from attack.odd_http import BODY, HIDDEN, LENGTH, ODD, get, post
from attack.raw import Heard, connected, exchange, hear, send
from attack.tiers import Tiers

AT_ONCE = 32


@pytest.fixture(scope="module")
def heard(tiers: Tiers) -> dict[str, Heard]:
    """What each odd request brought, all sent side by side while bystanders ask."""
    with guarded(tiers), ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda odd: exchange(tiers.http, odd.data), ODD.values())
        return dict(zip(ODD, answers, strict=True))


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request(heard: dict[str, Heard], name: str) -> None:
    told = heard[name]
    assert told.rest == b""
    assert len(told.answers) <= 1, told.statuses
    assert told.answers or told.closed
    for answer in told.answers:
        assert 200 <= answer.status < 500
        assert ODD[name].allowed or answer.status >= 400, answer
        if answer.status >= 400:
            assert answer.problem()["code"] in (
                "invalid_argument",
                "not_found",
                "method_not_allowed",
                "payload_too_large",
            )


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_requests_in_a_row_are_answered_in_their_order(tiers: Tiers, step: int) -> None:
    """Whatever pieces they come in."""
    data = get(b"") + post(LENGTH) + get(b"content-length: 3\r\n") + b"abc" + HIDDEN + post(LENGTH, BODY)
    with connected(tiers.http) as connection:
        for at in range(0, len(data), step):
            assert send(connection, data[at : at + step])
        assert hear(connection).statuses == [200, 200, 200, 404, 200]


def test_what_follows_a_refusal_is_never_read(tiers: Tiers) -> None:
    heard = exchange(tiers.http, post(b"content-length: 48abc\r\n") + HIDDEN * 20)
    assert (heard.statuses, heard.closed) == ([400], True)


def test_a_body_is_asked_for_where_that_is_expected(tiers: Tiers) -> None:
    with connected(tiers.http) as connection:
        send(connection, post(LENGTH + b"expect: 100-continue\r\n", b""))
        assert hear(connection).statuses == [100]
        send(connection, BODY)
        assert hear(connection).statuses == [200]
