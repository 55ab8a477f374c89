"""Parts of a prompt: whole tokens, by blanks and marks in every script, and never half a character."""

import pytest

from inference_server.engine.units import units
from inference_server.messages import Token


def tokens(*parts: str | bytes | None) -> list[Token]:
    """Tokens of these texts or bytes; None: a special token."""
    return [
        Token(at, b"<s>" if part is None else part.encode() if isinstance(part, str) else part, is_special=part is None)
        for at, part in enumerate(parts)
    ]


def texts(kind: str, *parts: str | bytes | None) -> list[str]:
    made = tokens(*parts)
    return [b"".join(each.bytes for each in made[start:end]).decode() for start, end in units(made, kind)]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["The", " cat", "ch", "es", "."], ["The", " catches", "."]),
        (["a", " ", "b", "\n", "\n", "c", " "], ["a", " b", "\n\nc", " "]),
        (["don", "'t", " do", "n", "’", "t"], ["don't", " don’t"]),
        (["dog", "'", " said"], ["dog", "'", " said"]),
        (["3", ".", "1", "4", ".", " x", ",", "5"], ["3.14", ".", " x", ",", "5"]),
        (["1", ",", "000", "!"], ["1,000", "!"]),
        (["well", "-", "known", "_", "name", "2"], ["well", "-", "known_name2"]),
        (["e", "\u0301", "te\u0301"], ["e\u0301te\u0301"]),
        (["東", "京", "は", "で", "す", "テ", "レ", "ビ"], ["東", "京", "はです", "テレビ"]),
        (["ไท", "ย"], ["ไท", "ย"]),
        (["한", "국", "어", " 말"], ["한국어", " 말"]),
        (["🧑", "\u200d", "🚀", "!"], ["🧑\u200d🚀", "!"]),
        ([" a. ", "b"], [" a. ", "b"]),
        (["a", " " * 99, "b", "c" * 99, "d"], ["a", " " * 99 + "b" + "c" * 99 + "d"]),
    ],
)
def test_words(parts: list[str], words: list[str]) -> None:
    assert texts("word", *parts) == words


@pytest.mark.parametrize(
    ("parts", "sentences"),
    [
        (["Hi", ".", " It", " is", " me", "!"], ["Hi.", " It is me!"]),
        (["Pi", " is", " 3", ".", "1", ".", " Yes"], ["Pi is 3.1.", " Yes"]),
        (["e", ".", "g", ".", " this"], ["e.g. this"]),
        (["He", ":", ' "', "No", '."', " She"], ['He: "No."', " She"]),
        (["Title", "\n", "\n", "Text"], ["Title\n\n", "Text"]),
        (["What", "?", "!", " Oh"], ["What?!", " Oh"]),
        (["東京です", "。", "はい", "」", "。"], ["東京です。", "はい」。"]),
        (["はい", "。", "」", "いいえ"], ["はい。」", "いいえ"]),
        (["end", ".", " "], ["end. "]),
        (["a", " " * 99, "b", ".", " " * 99, "C"], ["a" + " " * 99 + "b." + " " * 99, "C"]),
    ],
)
def test_sentences(parts: list[str], sentences: list[str]) -> None:
    assert texts("sentence", *parts) == sentences


@pytest.mark.parametrize("kind", ["token", "word", "sentence"])
def test_tokens_that_share_a_character_stay_together(kind: str) -> None:
    parts = units(tokens("a", b" \xe2", b"\x9c", b"\x93", " b"), kind)
    assert not {start for start, _ in parts} & {2, 3}


def test_a_character_that_never_ends_is_a_part() -> None:
    assert units(tokens("a", b"\xe2\x9c"), "token") == [(0, 1), (1, 2)]
    assert units(tokens(b"\xe2", None, b"\xff", "a"), "token") == [(0, 1), (1, 2), (2, 3), (3, 4)]


@pytest.mark.parametrize("kind", ["token", "word", "sentence"])
def test_a_special_token_is_a_part_of_its_own(kind: str) -> None:
    assert units(tokens(None, "a", "b", None, None, "c"), kind)[0] == (0, 1)
    assert {(3, 4), (4, 5), (5, 6)} <= set(units(tokens(None, "a", "b", None, None, "c"), kind))


@pytest.mark.parametrize("kind", ["token", "word", "sentence"])
def test_parts_cover_the_prompt_in_order(kind: str) -> None:
    made = tokens(None, "A", " b", b"\xe2", b"\x9c\x93", ".", " ", "C", "\n", "東", None, "x")
    parts = units(made, kind)
    assert [start for start, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == len(made)


def test_a_prompt_without_tokens_has_no_parts() -> None:
    assert units([], "word") == []
