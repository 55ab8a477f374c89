"""Samplers of other servers as sampler steps: which, in which order, and when none are needed."""

from typing import Any

import pytest

from web_gateway.api.openai.asking import asks
from web_gateway.api.openai.requests import CompletionRequest, JsonSchema, ResponseFormat, StructuredOutputs
from web_gateway.api.openai.steps import steps
from web_gateway.errors import InvalidRequest
from web_gateway.generate_messages import GenerateRequest
from web_gateway.sampler_messages import Mask, Penalty, Sampler, TokenBias, Xtc


def structured(**fields: Any) -> dict[str, Any]:
    return {"structured_outputs": StructuredOutputs(**fields)}


def told(**fields: Any) -> list[Sampler]:
    return steps(CompletionRequest(prompt="a", **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 0.5, "top_p": 0.9, "min_p": 0.1},
        {"presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}, "repetition_penalty": 1, "top_k": -1},
        {
            "repeat_penalty": 1.3,
            "repeat_last_n": 0,
            "top_n_sigma": -1,
            "typical_p": 1,
            "xtc_probability": 0,
            "xtc_threshold": 0.1,
        },
    ],
)
def test_nothing_asked_is_no_step(fields: dict[str, Any]) -> None:
    assert told(**fields) == []


def test_all_of_them_in_order() -> None:
    found = told(
        logit_bias={"5": -100, "7": 1.5},
        repetition_penalty=1.2,
        repetition_penalty_range=64,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        temperature=0.7,
        top_k=40,
        top_p=0.9,
        min_p=0.05,
        typical_p=0.8,
        top_n_sigma=1.5,
        xtc_probability=0.5,
        xtc_threshold=0.2,
    )
    biases = [TokenBias(token_id=5, bias=-100), TokenBias(token_id=7, bias=1.5)]
    assert found == [
        Sampler(logit_bias=biases),
        Sampler(repetition_penalty=Penalty(penalty=1.2, last=64)),
        Sampler(frequency_penalty=Penalty(penalty=0.5, ignore_prompt=True)),
        Sampler(presence_penalty=Penalty(penalty=-0.5, ignore_prompt=True)),
        Sampler(temperature=0.7),
        Sampler(top_k=40),
        Sampler(top_p=0.9),
        Sampler(min_p=0.05),
        Sampler(typical_p=0.8),
        Sampler(top_n_sigma=1.5),
        Sampler(xtc=Xtc(probability=0.5, threshold=0.2)),
    ]


@pytest.mark.parametrize(
    ("fields", "mask"),
    [
        ({"response_format": ResponseFormat(type="json_object")}, Mask(json_schema={"type": "object"})),
        (
            {"response_format": ResponseFormat(type="json_schema", json_schema=JsonSchema(schema={"enum": [1]}))},
            Mask(json_schema={"enum": [1]}),
        ),
        ({"guided_json": {"enum": [1]}}, Mask(json_schema={"enum": [1]})),
        ({"guided_json": '{"enum": [1]}'}, Mask(json_schema={"enum": [1]})),
        ({"guided_regex": "a+"}, Mask(regex="a+")),
        ({"guided_choice": ["a", "b"]}, Mask(choices=["a", "b"])),
        ({"guided_grammar": "start: /a/"}, Mask(grammar="start: /a/")),
        (structured(json={"enum": [1]}), Mask(json_schema={"enum": [1]})),
        (structured(json='{"enum": [1]}'), Mask(json_schema={"enum": [1]})),
        (structured(json={}), Mask(json_schema={})),
        (structured(json_object=True), Mask(json_schema={"type": "object"})),
        (structured(regex="a+", disable_any_whitespace=False), Mask(regex="a+")),
        (structured(choice=["a", "b"], disable_fallback=True), Mask(choices=["a", "b"])),
        (structured(grammar='root ::= "a"'), Mask(grammar='root ::= "a"')),
    ],
)
def test_a_form_is_the_first_step(fields: dict[str, Any], mask: Mask) -> None:
    assert told(**fields, top_k=3) == [Sampler(mask=mask), Sampler(temperature=1.0), Sampler(top_k=3)]
    (ask,) = asks(CompletionRequest(prompt="a", **fields))
    assert ask.generate is not None
    assert ask.generate.samplers == [Sampler(mask=mask), Sampler(temperature=1.0)]


def test_a_form_is_one() -> None:
    assert told(response_format=ResponseFormat(type="text")) == []
    for fields, field in (
        ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_choice"),
        ({"guided_json": "[1]"}, "guided_json"),
        ({"guided_json": "{"}, "guided_json"),
        ({"guided_regex": "a", **structured(regex="a")}, "structured_outputs"),
        (structured(json="[1]"), "structured_outputs"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            told(**fields)
        assert refused.value.field == field


def test_llama_cpps_names() -> None:
    assert told(repeat_penalty=1.1, repeat_last_n=-1)[0] == Sampler(repetition_penalty=Penalty(penalty=1.1))
    assert told(repeat_penalty=1.1, repeat_last_n=64)[0] == Sampler(repetition_penalty=Penalty(penalty=1.1, last=64))


@pytest.mark.parametrize("name", ["", "-1", "a", "1.5", "\u0661", "99999999999"])
def test_a_bias_is_for_an_id(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        told(logit_bias={name: 1})
    assert refused.value.field == "logit_bias"


def test_steps_replace_the_plain_fields() -> None:
    (ask,) = asks(CompletionRequest(prompt="a", temperature=0.5, top_k=2))
    steps_told = [Sampler(temperature=0.5), Sampler(top_k=2)]
    assert ask.generate == GenerateRequest(text="a", max_tokens=16, samplers=steps_told)
