"""Stop texts are found wherever tokens split them, at the byte where they begin."""

import itertools

import pytest

from inference_server.engine.stop_texts import StopTexts


def first_end(pieces: list[bytes], texts: list[str]) -> tuple[int, str, int] | None:
    """After which piece the stop comes, which text it is and where it begins."""
    stops = StopTexts(texts)
    for at, piece in enumerate(pieces):
        if found := stops.add(piece):
            return at, *found
    return None


@pytest.mark.parametrize("cuts", [*itertools.combinations(range(1, 9), 3)])
def test_found_however_the_text_is_split(cuts: tuple[int, ...]) -> None:
    text, stop = "ab\n\né.ok".encode(), "\n\né"
    bounds = [0, *cuts, len(text)]
    pieces = [text[begin:end] for begin, end in itertools.pairwise(bounds)]
    found = first_end(pieces, ["zzz", stop])
    assert found is not None
    at, which, begins = found
    assert (which, begins) == (stop, 2)
    assert sum(map(len, pieces[:at])) < 2 + len(stop.encode()) <= sum(map(len, pieces[: at + 1]))


@pytest.mark.parametrize(
    ("pieces", "texts", "expected"),
    [
        ([b"aaa", b"aab"], ["aab"], (1, "aab", 3)),
        ([b"one two"], ["two", "one"], (0, "one", 0)),
        ([b"x"], ["x", "xy"], (0, "x", 0)),
        ([b"ab", b"c"], ["abc", "b"], (0, "b", 1)),
        ([b"\xe2\x9c", b"\x93"], ["✓"], (1, "✓", 0)),
        ([b"a", b"b", b"a"], ["aa"], None),
        ([b"anything"], [], None),
    ],
)
def test_which_ends_a_text(pieces: list[bytes], texts: list[str], expected: tuple[int, str, int] | None) -> None:
    assert first_end(pieces, texts) == expected
