"""Messages of the contract and plain values: what is given is read, what is not keeps the query's default."""

import pytest
from nexttoken.v1 import next_token_pb2 as pb

from inference_server.api import convert
from inference_server.messages import Candidate, ScoreAnswer, ScoredToken, ScoreQuery, Timings, Token, TopKQuery
from inference_server.models.registry import ModelState


@pytest.mark.parametrize(
    ("request_", "query"),
    [
        (pb.TopKRequest(), TopKQuery()),
        (pb.TopKRequest(text=""), TopKQuery(text="")),
        (pb.TopKRequest(token_ids=pb.TokenIds()), TopKQuery(token_ids=())),
        (pb.TopKRequest(text="a", top_k=3, temperature=0), TopKQuery(text="a", top_k=3, temperature=0)),
        (
            pb.TopKRequest(token_ids=pb.TokenIds(ids=[1, 2]), top_p=0.5, min_p=0, watch_token_ids=[7], draws=[0.25]),
            TopKQuery(token_ids=(1, 2), top_p=0.5, watch_token_ids=(7,), draws=(0.25,)),
        ),
        (
            pb.TopKRequest(include_prompt_tokens=True, include_partition=True),
            TopKQuery(include_prompt_tokens=True, include_partition=True),
        ),
    ],
)
def test_a_question_is_read_as_it_is_given(request_: pb.TopKRequest, query: TopKQuery) -> None:
    assert convert.read_top_k(request_) == query


def test_a_score_is_read_as_it_is_given() -> None:
    assert convert.read_score(pb.ScoreRequest(text="a")) == ScoreQuery(text="a")
    assert convert.read_score(pb.ScoreRequest(text="a", top_k=2)) == ScoreQuery(text="a", top_k=2)


@pytest.mark.parametrize(("raw", "text"), [(b"dog", "dog"), (b"", ""), ("é".encode()[:1], None)])
def test_bytes_are_text_where_they_are_text_by_themselves(raw: bytes, text: str | None) -> None:
    written = convert.write_token(Token(5, raw, is_special=False))
    assert (written.token_id, written.bytes) == (5, raw)
    assert (written.text if written.HasField("text") else None) == text


def test_a_token_with_nothing_before_it_has_no_numbers() -> None:
    candidate = Candidate(Token(5, b"a", is_special=False), 1, 2.0, 0.5, -0.7)
    tokens = [ScoredToken(candidate, 0.0, unconditioned=True), ScoredToken(candidate, 1.5, [candidate])]
    answer = ScoreAnswer(tokens, -0.7, 2.0, 1.0, 64, Timings(1, 2, 3, 6))
    first, second = convert.write_score("bundled", answer).tokens
    assert first == pb.ScoredToken(
        candidate=pb.Candidate(token=convert.write_token(candidate.token)), unconditioned=True
    )
    assert (second.candidate.rank, second.candidate.probability, len(second.alternatives)) == (1, 0.5, 1)


def test_every_state_has_its_word() -> None:
    assert set(convert.STATE) == set(ModelState)
    assert len(set(convert.STATE.values())) == len(ModelState)
