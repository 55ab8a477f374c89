"""Answers as rows."""

import math

from nexttoken.v1 import next_token_pb2 as pb

from next_token_visualizer.cli.show import percent, spelled
from next_token_visualizer.tables import rows, to_pandas

HALF = pb.Candidate(token=pb.Token(token_id=7, bytes=b"\xe2\x9c"), rank=2, probability=0.0, logprob=-math.inf)
WORD = pb.Candidate(token=pb.Token(token_id=3, bytes=b" a", text=" a"), rank=1, logit=2.0, probability=1.0)


def test_candidates_are_flat_and_what_is_absent_is_none() -> None:
    first, second = rows(pb.TopKResponse(candidates=[WORD, HALF]))
    assert first == {
        "token_id": 3,
        "bytes": b" a",
        "text": " a",
        "is_special": False,
        "rank": 1,
        "logit": 2.0,
        "probability": 1.0,
        "logprob": 0.0,
    }
    assert second["text"] is None
    assert second["logprob"] == -math.inf


def test_sampler_steps_add_columns() -> None:
    sampled = pb.Candidate(rank=1, sampled=pb.Sampled(probability=0.5, logprob=-0.7))
    (found,) = rows(pb.TopKResponse(candidates=[sampled]))
    assert {name: found[name] for name in found if name.startswith("sampled")} == {
        "sampled_probability": 0.5,
        "sampled_logprob": -0.7,
        "sampled_fell_at": None,
    }


def test_scored_tokens_keep_their_alternatives_as_rows() -> None:
    (scored,) = rows(pb.ScoreResponse(tokens=[pb.ScoredToken(candidate=WORD, entropy_bits=0.5, alternatives=[HALF])]))
    assert (scored["text"], scored["entropy_bits"]) == (" a", 0.5)
    assert [each["token_id"] for each in scored["alternatives"]] == [7]


def test_models_have_their_state_by_name_and_no_facts_before_they_are_ready() -> None:
    (model,) = rows([pb.Model(name="m", state=pb.MODEL_STATE_LOADING)])
    assert (model["name"], model["state"], model["facts"]) == ("m", "MODEL_STATE_LOADING", None)


def test_a_layer_has_a_row_per_candidate_and_watched_token() -> None:
    layer = pb.Layer(layer=2, candidates=[WORD], watched=[HALF], entropy_bits=0.5)
    first, second = rows(pb.LayersResponse(layers=[layer]))
    assert (first["layer"], first["entropy_bits"], first["watched"], first["token_id"]) == (2, 0.5, False, 3)
    assert (second["layer"], second["watched"], second["token_id"]) == (2, True, 7)


def test_compared_tokens_have_columns_for_both_sides() -> None:
    place = pb.ComparedPlace(token_id=3, rank=1, probability=1.0)
    (compared,) = rows(pb.CompareResponse(candidates=[pb.ComparedToken(token=WORD.token, a=place)]))
    assert (compared["text"], compared["rank_a"], compared["probability_a"]) == (" a", 1, 1.0)
    assert (compared["token_id_b"], compared["rank_b"], compared["probability_b"]) == (None, None, None)


def test_of_a_stream_only_tokens_nodes_and_changes_are_rows() -> None:
    node = pb.GrownNode(id=1, token=WORD, path_logprob=-0.5)
    (grown,) = rows([pb.GrowStart(), node, pb.GrownMass(), pb.GrowFinish()])
    assert (grown["id"], grown["text"], grown["rank"], grown["path_logprob"]) == (1, " a", 1, -0.5)
    (change,) = rows([pb.InfluenceStart(), pb.InfluenceChange(unit=3, method=pb.INFLUENCE_METHOD_HIDE)])
    assert (change["unit"], change["method"]) == (3, "INFLUENCE_METHOD_HIDE")


def test_a_data_frame_has_a_column_per_field() -> None:
    frame = to_pandas(pb.TopKResponse(candidates=[WORD, HALF]))
    assert list(frame["rank"]) == [1, 2]
    assert frame["probability"].sum() == 1.0


def test_in_a_terminal_blanks_and_bytes_are_seen_and_small_is_not_zero() -> None:
    assert spelled(WORD.token).plain == "·a"
    assert spelled(HALF.token).plain == "e2 9c"
    assert spelled(pb.Token(token_id=9, is_special=True)).plain == "no token, id 9"
    assert spelled(pb.Token(text="a\n\x1b[31m")).plain == "a↵\\x1b[31m"  # nothing reaches the terminal as a command
    assert [percent(p) for p in (0.5, 0.00012, 1e-12, 0.0)] == ["50.0 %", "0.012 %", "1e-10 %", "0.0 %"]
