"""Messages of the contract and plain values: what is given is read, what is not keeps the query's default."""

import pytest
from nexttoken.v1 import next_token_pb2 as pb

from inference_server.api import convert
from inference_server.messages import Candidate, ScoreAnswer, ScoredToken, ScoreQuery, Timings, Token, TopKQuery
from inference_server.models.model_status import ModelState, ModelStatus


@pytest.mark.parametrize(
    ("request_", "query"),
    [
        (pb.TopKRequest(), TopKQuery()),
        (pb.TopKRequest(text=""), TopKQuery(text="")),
        (pb.TopKRequest(token_ids=pb.TokenIds()), TopKQuery(token_ids=())),
        (
            pb.TopKRequest(
                parts=pb.PromptParts(
                    parts=[
                        pb.PromptPart(token_ids=pb.TokenIds(ids=[5, 6])),
                        pb.PromptPart(text="on"),
                        pb.PromptPart(text=""),
                        pb.PromptPart(token_ids=pb.TokenIds()),
                    ]
                )
            ),
            TopKQuery(parts=((5, 6), "on", "", ())),
        ),
        (pb.TopKRequest(parts=pb.PromptParts()), TopKQuery(parts=())),
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
    assert convert.read_query(TopKQuery, request_) == query


def test_a_score_is_read_as_it_is_given() -> None:
    assert convert.read_query(ScoreQuery, pb.ScoreRequest(text="a")) == ScoreQuery(text="a")
    assert convert.read_query(ScoreQuery, pb.ScoreRequest(text="a", top_k=2)) == ScoreQuery(text="a", top_k=2)


@pytest.mark.parametrize(("raw", "text"), [(b"dog", "dog"), (b"", ""), ("é".encode()[:1], None)])
def test_bytes_are_text_where_they_are_text_by_themselves(raw: bytes, text: str | None) -> None:
    written = pb.Token(**convert.to_fields(Token(5, raw, is_special=False)))
    assert (written.token_id, written.bytes) == (5, raw)
    assert (written.text if written.HasField("text") else None) == text


def test_a_token_with_nothing_before_it_has_no_numbers() -> None:
    token = Token(5, b"a", is_special=False)
    candidate = Candidate(token, 1, 2.0, 0.5, -0.7)
    tokens = [
        ScoredToken(Candidate(token, 0, 0.0, 0.0, 0.0), 0.0, unconditioned=True),
        ScoredToken(candidate, 1.5, [candidate]),
    ]
    answer = ScoreAnswer(tokens, -0.7, 2.0, 1.0, 64, Timings(1, 2, 3, 6))
    first, second = convert.write_score("bundled", answer).tokens
    alone = pb.Candidate(token=pb.Token(token_id=5, bytes=b"a", text="a"))
    assert first == pb.ScoredToken(candidate=alone, unconditioned=True)
    assert (second.candidate.rank, second.candidate.probability, len(second.alternatives)) == (1, 0.5, 1)


@pytest.mark.parametrize("state", ModelState)
def test_every_state_has_its_word(state: ModelState) -> None:
    written = convert.write_model(ModelStatus("m", is_default=True, state=state))
    assert pb.ModelState.Name(written.state) == f"MODEL_STATE_{state.name}"
