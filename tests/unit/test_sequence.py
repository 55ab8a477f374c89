"""Prompts on their way through a model: when they are done."""

from inference_server.sequence import Reading, Scoring


def test_a_score_is_done_once_every_token_is_told() -> None:
    scoring = Scoring[str]((1, 2), lambda place, logits: [])
    assert not scoring.done
    scoring.told.append("a")
    assert not scoring.done
    scoring.told.append("b")
    assert scoring.done


def test_two_readings_of_one_prompt_are_two() -> None:
    assert Reading((1, 2)) != Reading((1, 2))
