"""Masks over real engines: generated texts have the form that was asked for, alone and together, in one stream and
resumed, and a click is told the same."""

import json
import re
from collections.abc import Callable

import jsonschema_rs
import pytest

from inference_server.errors import InvalidField
from inference_server.generate_messages import FinishReason, GeneratedSoFar
from inference_server.messages import TopKQuery
from inference_server.sampler_messages import Amount, TextMask
from models.conftest import Cell
from models.test_generate import PROMPT, written

MakeCell = Callable[[str, str], Cell]
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "ages": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["name", "ages"],
    "additionalProperties": False,
}
CHOICES = ("the river", "the old house", "é 😀")
PATTERN = r"(the|an) [a-z]{2,9}(, [a-z]+){1,3}\."
FORMS = [
    TextMask("choices", CHOICES),
    TextMask("regex", (PATTERN,)),
    TextMask("json_schema", (json.dumps(SCHEMA),)),
    TextMask("grammar", ('start: item ("; " item)+ "."\nitem: /[A-Z][a-z]+/ " " /[0-9]{1,3}/',)),
]


def has_form(form: TextMask, text: str) -> bool:
    match form.kind:
        case "choices":
            return text in form.source
        case "json_schema":
            return bool(jsonschema_rs.is_valid(SCHEMA, json.loads(text)))
        case "regex":
            return re.fullmatch(PATTERN, text) is not None
    return re.fullmatch(r"[A-Z][a-z]+ \d{1,3}(; [A-Z][a-z]+ \d{1,3})+\.", text) is not None


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind)
@pytest.mark.parametrize("kind", ["byte_bpe", "sentencepiece_bpe"])
async def test_texts_of_random_models_have_the_form(cell: MakeCell, kind: str, form: TextMask) -> None:
    at = cell("llama", kind)
    ids, ends, _ = await written(at, samplers=(Amount("temperature", 1.5), form), seed=7, n=4, max_tokens=100)
    complete = [end for end in ends.values() if end.finish_reason is FinishReason.STOP_TOKEN]
    assert complete or form.kind in ("json_schema", "grammar")  # a random model comes to no end of a string or word
    assert [end.text for end in complete if not has_form(form, end.text)] == []
    for end in complete:
        assert end.stop_token_id in at.engine.facts.end_of_text_ids
        assert ids[end.index][-1] == end.stop_token_id


async def test_a_click_is_told_what_a_stream_draws_from_and_resumes(cell: MakeCell) -> None:
    at, steps = cell("llama", "byte_bpe"), (FORMS[1], Amount("top_k", 40))
    ids, ends, tokens = await written(at, samplers=steps, seed=2, max_tokens=12, top_k=5)
    for position, token in enumerate(tokens):
        so_far = (*PROMPT, *ids[0][:position])
        query = TopKQuery(token_ids=so_far, samplers=steps, constrained_from=len(PROMPT), top_k=5)
        answer = await at.engine.top_k(query, None)
        assert answer.sampling is not None
        assert token.sampling is not None
        assert answer.sampling.steps == token.sampling.steps
        assert answer.kept_count == token.kept_count
    again, _, _ = await written(
        at, samplers=steps, seed=2, max_tokens=12, top_k=5, resume=[GeneratedSoFar(0, ids[0][:4])]
    )
    assert again[0] == ids[0][4:]
    assert ends[0].text
    with pytest.raises(
        InvalidField, match="resume: the mask does not allow the token at index 0 of continuation 0; br"
    ):
        await written(at, samplers=steps, seed=2, resume=[GeneratedSoFar(0, (at.vocabulary.size - 1,))])


async def test_after_the_end_nothing_may_follow(cell: MakeCell) -> None:
    at, form = cell("llama", "byte_bpe"), TextMask("choices", ("the",))
    ids = (*PROMPT, *at.vocabulary.encode_bare("the"), at.engine.facts.end_of_text_ids[0])
    with pytest.raises(InvalidField, match=r"samplers: step 0 \(mask\) leaves no token that may come next"):
        await at.engine.top_k(TopKQuery(token_ids=ids, samplers=(form,), constrained_from=len(PROMPT)), None)
