"""Forms as llguidance reads them: the same as it makes of them itself, and what is refused."""

import json
from typing import Any

import llguidance
import pytest

from inference_server.errors import InvalidField
from inference_server.masks import forms
from inference_server.sampler_messages import TextMask

BYTES = llguidance.LLTokenizer("byte")
CHOICES = ("yes", 'é 😀\n"\\', "yes, but")
SCHEMA = '{"type": "object", "properties": {"a": {"const": "é"}}, "required": ["a"], "additionalProperties": false}'
LARK = 'start: "a" rest?\nrest: /b|c/ start'
MASKS = [
    (TextMask("choices", CHOICES), [*CHOICES], ["no", "yes,", ""]),
    (TextMask("regex", (r"\d{2}/\d{2}|/",)), ["12/34", "/"], ["1/3", "x"]),
    (TextMask("json_schema", (SCHEMA,)), ['{"a":"é"}', '{ "a": "é"}'], ["{}", '{"a":1}']),
    (TextMask("json_schema", ("true",)), ["[1]", "null"], ["["]),
    (TextMask("grammar", (LARK,)), ["a", "abaca"], ["ab", "b"]),
]


def taken(grammar: str, text: str) -> bool:
    matcher = llguidance.LLMatcher(BYTES, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    ids = [*text.encode()]
    return bool(matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting())


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize(("mask", "good", "bad"), MASKS, ids=lambda value: getattr(value, "kind", ""))
def test_a_form_takes_its_texts_and_no_others(mask: TextMask, good: list[str], bad: list[str], free: bool) -> None:
    grammar = forms.grammar_of(mask, free)
    assert [text for text in good if not taken(grammar, text)] == []
    assert [text for text in bad if taken(grammar, text)] == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{", "json_schema of mask is no JSON: Expecting"),
        ('{"minimum": NaN}', "is no JSON: NaN is no number"),
        ("[" * 100_000, "is no JSON: "),
        ("[1]", "json_schema of mask must be an object, true or false"),
    ],
)
def test_what_is_no_schema(source: str, words: str) -> None:
    with pytest.raises(InvalidField) as refused:
        forms.grammar_of(TextMask("json_schema", (source,)))
    assert refused.value.field == "samplers"
    assert words in refused.value.fault


def test_the_words_of_an_error_are_short_and_hold_no_excerpt() -> None:
    grammar = forms.lark("start: " + " ".join(f'"word {at}"' for at in range(1000)) + " missing")
    with pytest.raises(InvalidField) as refused:
        forms.start(BYTES, grammar, "grammar")
    assert refused.value.fault.startswith("grammar of mask can't be used: at 1(")
    assert refused.value.fault.endswith('unknown name: "missing"')
    words: Any = forms.broken("regex", "x" * 10_000)
    assert len(words.fault) < 400
    assert json.loads(forms.lark("a"))["grammars"] == [{"lark_grammar": "a"}]
