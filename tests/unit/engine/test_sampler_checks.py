"""The bad-input table of sampler steps: each row's field and words."""

import math
from typing import Any

import pytest

from inference_server.engine.validation import check_generate, check_top_k
from inference_server.errors import InvalidField
from inference_server.generate_messages import GenerateQuery
from inference_server.messages import TopKQuery
from inference_server.sampler_messages import Amount, Ban, LogitBias, Penalty, Sampler, TextMask, Xtc


def check(*samplers: Sampler, **asked: Any) -> None:
    check_top_k(TopKQuery(text="a", samplers=samplers, **asked), vocab_size=300, max_text_bytes=9)


GOOD: tuple[Sampler, ...] = (
    Amount("temperature", 0),
    Amount("top_k", 10**6),
    Amount("top_p", 1),
    Amount("min_p", 1),
    Amount("typical_p", 1),
    Amount("top_n_sigma", 100),
    Amount("epsilon", 1),
    Amount("eta", 1e-9),
    Amount("top_h", 1),
    Xtc(1, 1, 0),
    LogitBias((0, 299), (100, -100)),
    Ban(tuple(range(299))),
    Penalty("repetition_penalty", 100, last=1),
    Penalty("frequency_penalty", -2),
    Penalty("presence_penalty", 2, ignore_prompt=True),
    TextMask("regex", ("é" * 32_768,)),
)


def test_all_steps_together_are_fine() -> None:
    check(*GOOD)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Amount("temperature", 100.5), r"step 1 \(temperature\) must be from 0 to 100, got 100.5"),
        (Amount("temperature", math.nan), "must be from 0 to 100, got nan"),
        (Amount("top_k", 0), r"step 1 \(top_k\) must be from 1 to 2,147,483,647, got 0"),
        (Amount("top_p", 0), "must be above 0 and at most 1, got 0"),
        (Amount("typical_p", 1.1), r"\(typical_p\) must be above 0 and at most 1, got 1.1"),
        (Amount("top_n_sigma", 0), "must be above 0 and at most 100, got 0"),
        (Amount("epsilon", 0), "must be above 0 and at most 1, got 0"),
        (Amount("eta", -1), "must be above 0 and at most 1, got -1"),
        (Amount("top_h", 0), "must be above 0 and at most 1, got 0"),
        (Xtc(1.5), r"probability of step 1 \(xtc\) must be from 0 to 1, got 1.5"),
        (Xtc(1, 2), "threshold of step 1 .* must be from 0 to 1, got 2"),
        (Xtc(1, 0.1, 1.0), "coin of step 1 .* must be at least 0 and below 1, got 1.0"),
        (Penalty("repetition_penalty", 0), "penalty of step 1 .* must be above 0 and at most 100, got 0"),
        (Penalty("frequency_penalty", 2.5), "must be from -2 to 2, got 2.5"),
        (Penalty("presence_penalty", -3), "must be from -2 to 2, got -3"),
        (TextMask("regex", ("",)), r"regex of step 1 \(mask\) must not be empty"),
        (
            TextMask("grammar", ("x" * 65_537,)),
            "grammar of step 1 .* must be at most 65,536 bytes of UTF-8, got 65,537",
        ),
        (TextMask("json_schema", ("é" * 32_769,)), "json_schema of .* at most 65,536 bytes of UTF-8, got 65,538"),
        (TextMask("choices", ()), r"choices of step 1 \(mask\) must be from 1 to 1,000 texts, got 0"),
        (TextMask("choices", ("a",) * 1001), "must be from 1 to 1,000 texts, got 1,001"),
        (TextMask("choices", ("a", "")), "must not be empty, got an empty text at index 1"),
        (TextMask("choices", ("a", "\ud800")), "contains an unpaired surrogate at index 0"),
        (Penalty("presence_penalty", 1, last=0), "last of step 1 .* must be from 1 to 2,147,483,647, got 0"),
        (LogitBias((), ()), "must have from 1 to 1,000 tokens, got 0"),
        (LogitBias((1, 2, 1), (0, 0, 0)), r"step 1 \(logit_bias\) has the token 1 twice"),
        (LogitBias((300,), (0,)), r"must be ids from 0 to 299, got 300 at index 0 of step 1 \(logit_bias\)"),
        (LogitBias((3,), (math.inf,)), "bias of step 1 .* must be from -100 to 100, got inf"),
        (Ban((-1,)), r"must be ids from 0 to 299, got -1 at index 0 of step 1 \(ban\)"),
        (Ban(tuple(range(1001))), "must have from 1 to 1,000 tokens, got 1,001"),
        (Amount("min_p", 0.1), "min_p is given twice, as steps 0 and 1"),
    ],
)
def test_bad_steps_are_refused(step: Sampler, words: str) -> None:
    with pytest.raises(InvalidField, match=words) as refused:
        check(Amount("min_p", 0.5), step)
    assert refused.value.field == "samplers"


@pytest.mark.parametrize(("field", "value"), [("temperature", 0.5), ("top_p", 0.9), ("min_p", 0.1)])
def test_filters_are_given_once(field: str, value: float) -> None:
    with pytest.raises(InvalidField, match=f"can't be given with samplers; add the step {field} to them") as refused:
        check(Amount("top_k", 3), **{field: value})
    assert refused.value.field == field


def test_the_seed_decides_about_xtc() -> None:
    check_generate(GenerateQuery(text="a", samplers=(Xtc(0.5),)), 300, 9)
    with pytest.raises(InvalidField, match="samplers: coin of xtc can't be given: the seed decides"):
        check_generate(GenerateQuery(text="a", samplers=(Xtc(0.5, coin=0),)), 300, 9)
