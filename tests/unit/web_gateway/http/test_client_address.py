"""One name for all addresses that one visitor has at hand."""

from web_gateway.http.client_address import UNNAMED, visitor


def test_addresses_of_one_household_are_one_visitor() -> None:
    assert visitor("2001:db8:1:2::a") == visitor("2001:db8:1:2:ffff::b") == "2001:db8:1:2::"
    assert visitor("2001:db8:1:2::a") != visitor("2001:db8:1:3::a")
    assert visitor("::ffff:203.0.113.7") == visitor("203.0.113.7") == "203.0.113.7"
    assert visitor("fe80::1%eth0") == visitor("fe80::2")


def test_words_in_an_address_s_place_make_no_visitors() -> None:
    words = ("", "unknown", "_hidden", "203.0.113", "a" * 20_000, "203.0.113.7" + " " * 20_000)
    assert {visitor(each) for each in words} == {UNNAMED}
