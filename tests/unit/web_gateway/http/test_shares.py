"""What there is only so much of, and what of it one client may hold."""

from web_gateway.http.shares import Shares


def test_all_and_each_are_bounded_and_what_is_given_back_is_there_again() -> None:
    told: list[str] = []
    shares = Shares("places", 3, 2, told.append)
    assert [shares.take(client) for client in ("a", "a", "a", "b", "b")] == [True, True, False, True, False]
    assert told == ["share", "places"]
    shares.give("a")
    assert shares.take("b")
    assert not shares.take("c")
    for client in ("a", "b", "b"):
        shares.give(client)
    assert (shares.in_use, dict(shares._by_client)) == (0, {})


def test_who_stands_for_many_may_hold_all() -> None:
    shares = Shares("places", 3, 1, lambda reason: None)
    assert [shares.take(None) for _ in range(4)] == [True, True, True, False]


def test_amounts_count() -> None:
    shares = Shares("bytes", 100, 60, lambda reason: None)
    assert shares.take("a", 60)
    assert not shares.take("a", 1)
    assert not shares.take("b", 41)
    assert shares.take("b", 40)
    shares.give("a", 60)
    assert shares.in_use == 40
