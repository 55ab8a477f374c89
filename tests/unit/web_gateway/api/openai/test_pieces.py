"""Text piece by piece: what was sent never changes, and all of it together is what the server says it is."""

import itertools
import random
from collections.abc import Sequence

import pytest

from web_gateway.api.openai.pieces import Growing, Piece, scored
from web_gateway.generate_messages import GeneratedToken, GenerateFinish
from web_gateway.messages import Candidate, Kept, ScoredToken, Timings

TIMINGS = Timings(queue=0, tokenize=0, model=0, total=0)


def text_of(spelling: bytes) -> str | None:
    try:
        return spelling.decode()
    except UnicodeDecodeError:
        return None


def candidate(token_id: int, spelling: bytes, logit: float = 2.0, special: bool = False) -> Candidate:
    return Candidate(
        token_id=token_id,
        text=text_of(spelling),
        bytes=spelling,
        is_special=special,
        rank=1,
        logit=logit,
        probability=0.5,
        logprob=-9.0,  # at the request's temperature, which this API does not tell
    )


def token(spelling: bytes, special: bool = False) -> GeneratedToken:
    own = candidate(7, spelling, special=special)
    return GeneratedToken(
        index=0,
        token=own,
        candidates=[own],
        entropy_bits=1,
        kept=Kept(count=1, probability=1),
        other_probability=0,
        partition=[],
        log_sum_exp=2.5,
    )


def finish(text: str, reason: str = "length") -> GenerateFinish:
    return GenerateFinish(
        index=0,
        finish_reason=reason,  # type: ignore[arg-type]
        stop_token_id=None,
        stop_text=None,
        text=text,
        token_count=3,
        timings_ms=TIMINGS,
    )


def told(spellings: Sequence[bytes], stops: Sequence[str], text: str) -> list[Piece]:
    growing = Growing(4, stops)
    pieces = [growing.add(token(spelling)) for spelling in spellings]
    return [*(piece for piece in pieces if piece), growing.end(finish(text))]


@pytest.mark.parametrize(
    ("spellings", "stops", "text", "sent"),
    [
        ([b"a", b" b"], [], "a b", ["a", " b", ""]),
        ([b"\xf0\x9f", b"\x98", b"\x80!", b"x"], [], "😀!x", ["😀!", "x", ""]),
        ([b"a\xf0", b"b"], [], "a\ufffdb", ["a\ufffdb", ""]),
        ([b"a\xf0"], [], "a\ufffd", ["a\ufffd"]),
        ([b"a", b"EN", b"D"], ["END"], "a", ["a", ""]),
        ([b"a", b"EN", b"T", b"!"], ["END"], "aENT!", ["a", "ENT", "!", ""]),
        ([b"a END b"], ["END"], "a ", ["a "]),
        ([b"\xe2", b"stop"], ["stop"], "\ufffd", ["\ufffd", ""]),
        ([b"ab", b"ab", b"ac"], ["abac"], "ab", ["ab", ""]),
    ],
)
def test_what_is_sent_is_final(spellings: list[bytes], stops: list[str], text: str, sent: list[str]) -> None:
    pieces = told(spellings, stops, text)
    assert [piece.text for piece in pieces] == sent
    assert [piece.finish_reason for piece in pieces] == [None] * (len(sent) - 1) + ["length"]
    assert sum(len(piece.tokens) for piece in pieces) == len(spellings)
    assert (pieces[-1].index, pieces[-1].token_count) == (4, 3)


def test_any_division_of_any_text_adds_up() -> None:
    """Against what the server does: it looks for stop texts in the bytes, and decodes what comes before."""
    chance = random.Random(3)
    for _ in range(300):
        data = "".join(chance.choice("abé😀 ") for _ in range(12)).encode()
        cuts = sorted(chance.sample(range(1, len(data)), 5))
        spellings = [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]
        stops = ["".join(chance.choice("abé ") for _ in range(chance.randrange(1, 4))) for _ in range(2)]
        written, given = b"", []
        for spelling in spellings:
            given.append(spelling)
            written += spelling
            found = [at for stop in stops if (at := written.find(stop.encode())) >= 0]
            if found:
                written = written[: min(found)]
                break
        text = written.decode(errors="replace")
        assert "".join(piece.text for piece in told(given, stops, text)) == text


def test_special_tokens_come_with_the_text_after_them_or_with_the_end() -> None:
    growing = Growing(0, [])
    assert growing.add(token(b"<s>", special=True)) is None
    piece = growing.add(token(b"a"))
    assert piece is not None
    assert (piece.text, [each.own.token.is_special for each in piece.tokens]) == ("a", [True, False])
    assert growing.add(token(b"</s>", special=True)) is None
    end = growing.end(finish("a", "stop_token"))
    assert (end.text, len(end.tokens), end.finish_reason) == ("", 1, "stop")


def test_log_probabilities_are_those_at_temperature_1() -> None:
    piece = Growing(0, [], base=10).add(token(b"a"))
    assert piece is not None
    (written,) = piece.tokens
    assert (written.own.logprob, written.top[0].logprob, written.offset) == (-0.5, -0.5, 10)


def scored_token(spelling: bytes, special: bool = False) -> ScoredToken:
    return ScoredToken(
        token_id=1,
        text=text_of(spelling),
        bytes=spelling,
        is_special=special,
        rank=1,
        logit=1.0,
        probability=0.5,
        logprob=-0.7,
        entropy_bits=1.0,
        unconditioned=False,
        alternatives=[candidate(1, spelling)],
    )


@pytest.mark.parametrize(
    ("text", "offsets"), [("aé<s>b", [0, 0, 1, 1, 2, 5]), (None, [0, 3, 4, 4, 5, 8])], ids=["text", "ids"]
)
def test_offsets_count_characters_of_what_is_echoed(text: str | None, offsets: list[int]) -> None:
    parts = [(b"<s>", True), (b"a", False), (b"\xc3", False), (b"\xa9", False), (b"<s>", True), (b"b", False)]
    written = scored([scored_token(*part) for part in parts], text)
    assert [each.offset for each in written] == offsets
    assert [each.conditioned for each in written] == [False, True, True, True, True, True]
