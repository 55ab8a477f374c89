"""Reading the gateway's JSON: what fits is read as written, what does not is refused in words, nothing else happens."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from web_gateway import messages, model_messages
from web_gateway.api.schemas import MAX_QUOTED, parse, render
from web_gateway.errors import InvalidRequest

# The same examples on every machine, however busy it is.
bounded = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

REQUESTS = (messages.NextTokenRequest, messages.ScoreRequest, model_messages.LoadRequest)
FIELDS = sorted({name for request in REQUESTS for name in request.__struct_fields__})

texts = st.text(st.characters(exclude_categories=["Cs"]))
token_ids = st.integers(0, messages.MAX_INT32)
prompts = st.one_of(
    st.fixed_dictionaries({"text": texts}), st.fixed_dictionaries({"token_ids": st.lists(token_ids, max_size=50)})
)
part_lists = st.lists(texts | st.lists(token_ids, max_size=20), min_size=1, max_size=100)
next_token_prompts = prompts | st.fixed_dictionaries({"parts": part_lists})
next_token_options = st.fixed_dictionaries(
    {},
    optional={
        "model": texts,
        "top_k": st.integers(1, 1000),
        "temperature": st.floats(0, 100) | st.integers(0, 100),
        "watch_token_ids": st.lists(token_ids, max_size=32),
        "top_p": st.floats(0, 1, exclude_min=True) | st.just(1),
        "min_p": st.floats(0, 1) | st.integers(0, 1),
        "draws": st.lists(st.floats(0, 1, exclude_max=True) | st.just(0), max_size=100),
        "include_prompt_tokens": st.booleans(),
        "include_partition": st.booleans(),
    },
)
score_options = st.fixed_dictionaries({}, optional={"model": texts, "top_k": st.integers(0, 100)})
numbers = st.integers() | st.integers(-(2**70), 2**70) | st.floats()
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)
likely_objects = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=20), json_values, max_size=4)


def refusal(body: bytes, kind: Any) -> InvalidRequest | None:
    """How a body is refused; None where it is read. Anything but these two fails the test."""
    try:
        parse(body, kind)
    except InvalidRequest as error:
        return error
    return None


@bounded
@given(st.sampled_from(REQUESTS), likely_objects | json_values)
def test_any_json_is_read_or_refused(kind: Any, value: Any) -> None:
    refused = refusal(json.dumps(value).encode(), kind)
    if refused is not None:
        refused_well(refused)


@bounded
@given(st.sampled_from(REQUESTS), st.binary())
@example(messages.NextTokenRequest, b"[" * 100_000)
@example(messages.NextTokenRequest, b'{"text":' * 100_000)
@example(messages.NextTokenRequest, b'{"token_ids":[' + b"[" * 100_000)
@example(model_messages.LoadRequest, b'{"name":"\\ud800"}')
def test_any_bytes_are_read_or_refused(kind: Any, body: bytes) -> None:
    refused = refusal(body, kind)
    if refused is not None:
        refused_well(refused)


@bounded
@given(st.sampled_from(REQUESTS), likely_objects, st.data())
def test_any_damage_is_read_or_refused(kind: Any, value: Any, data: st.DataObject) -> None:
    body = bytearray(json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass"))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = data.draw(st.integers(0, 255))
    refused = refusal(bytes(body), kind)
    if refused is not None:
        refused_well(refused)


def refused_well(error: InvalidRequest) -> None:
    """The words can be sent, are short, and stand beside the field they speak of."""
    str(error).encode()
    assert 5 < len(str(error)) < 400 + MAX_QUOTED
    if error.field is not None:
        error.field.encode()
        assert len(error.field) <= MAX_QUOTED


@bounded
@given(next_token_prompts, next_token_options)
def test_what_fits_is_read_as_written(prompt: dict[str, Any], options: dict[str, Any]) -> None:
    written = {**prompt, **options}
    request = parse(json.dumps(written).encode(), messages.NextTokenRequest)
    for name in request.__struct_fields__:
        if name in written:
            assert getattr(request, name) == written[name]
        else:
            assert getattr(request, name) in (msgspec.UNSET, False)


@bounded
@given(prompts, score_options)
def test_what_fits_a_score_is_read_as_written(prompt: dict[str, Any], options: dict[str, Any]) -> None:
    written = {**prompt, **options}
    request = parse(json.dumps(written).encode(), messages.ScoreRequest)
    assert {name: getattr(request, name) for name in written} == written


@bounded
@given(next_token_prompts, next_token_options)
def test_what_is_written_is_read_back(prompt: dict[str, Any], options: dict[str, Any]) -> None:
    request = messages.NextTokenRequest(**prompt, **options)
    assert parse(render(request), messages.NextTokenRequest) == request


@bounded
@given(prompts, next_token_options, st.text(min_size=1).filter(lambda name: name not in FIELDS))
def test_an_unknown_field_is_refused_by_name(prompt: dict[str, Any], options: dict[str, Any], name: str) -> None:
    refused = refusal(json.dumps({**prompt, **options, name: 1}).encode(), messages.NextTokenRequest)
    assert refused is not None
    if len(name) <= MAX_QUOTED and name.isprintable():
        assert refused.field == name


@bounded
@given(prompts, next_token_options, st.sampled_from(messages.NextTokenRequest.__struct_fields__))
def test_null_is_no_default(prompt: dict[str, Any], options: dict[str, Any], name: str) -> None:
    ways = {"text", "token_ids", "parts"}
    others = ways - {name} if name in ways else set()
    written = {key: value for key, value in {**prompt, **options, name: None}.items() if key not in others}
    refused = refusal(json.dumps(written).encode(), messages.NextTokenRequest)
    assert refused is not None
    assert (refused.field, "not null" in str(refused)) == (name, True)


@bounded
@given(prompts, next_token_options.filter(bool), st.data())
def test_a_field_that_stands_twice_is_refused(
    prompt: dict[str, Any], options: dict[str, Any], data: st.DataObject
) -> None:
    written = {**prompt, **options}
    name = data.draw(st.sampled_from(sorted(written)))
    body = json.dumps(written)[:-1] + f", {json.dumps(name)}: {json.dumps(written[name])}}}"
    refused = refusal(body.encode(), messages.NextTokenRequest)
    assert refused is not None
    assert (refused.field, "duplicate" in str(refused)) == (name, True)


@pytest.mark.parametrize(
    ("name", "outside", "range_"),
    [
        ("top_k", st.integers(max_value=0) | st.integers(min_value=1001), "from 1 to 1,000"),
        ("temperature", st.floats(max_value=0, exclude_max=True) | st.floats(100, exclude_min=True), "from 0 to 100"),
        ("top_p", st.floats(max_value=0) | st.floats(1, exclude_min=True), "above 0 and at most 1"),
        ("min_p", st.floats(max_value=0, exclude_max=True) | st.floats(1, exclude_min=True), "from 0 to 1"),
    ],
)
@bounded
@given(data=st.data())
def test_out_of_range_is_refused_by_name(name: str, outside: Any, range_: str, data: st.DataObject) -> None:
    refused = refusal(json.dumps({"text": "", name: data.draw(outside)}).encode(), messages.NextTokenRequest)
    assert refused is not None
    assert refused.field == name
    assert range_ in str(refused)


UNPAIRED = "contains an unpaired surrogate"
LARGE = "not a number out of range"
SOME_PARTS = "must be an array of 1 to 100 strings and arrays of integers from 0 to 2,147,483,647"


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        # The name of a field, wherever in it and wherever it stands.
        (rb'{"\ud800": 1}', None, f"a field name {UNPAIRED}"),
        (rb'{"te\ud800xt": "a"}', None, f"a field name {UNPAIRED}"),
        (rb'{"text": "a", "\udc00": 1}', None, f"a field name {UNPAIRED}"),
        (b'{"\xff": 1}', None, "a field name is not valid UTF-8 (byte 2 of the body)"),
        # A value, also where a second one of the same name would hide it.
        (rb'{"text": "\ud800", "text": "a"}', "text", f"text: {UNPAIRED}"),
        (rb'{"text": "a", "text": "\ud800"}', "text", f"text: {UNPAIRED}"),
        (rb'{"token_ids": ["\ud800"]}', "token_ids", f"token_ids: {UNPAIRED}"),
        (rb'{"temperature": 1e400, "text": "\ud800"}', "temperature", LARGE),
        (b'{"parts": []}', "parts", f"parts: {SOME_PARTS}, not an array of 0"),
        (b'{"parts": "a"}', "parts", f'parts: {SOME_PARTS}, not "a"'),
        (
            b'{"parts": [5]}',
            "parts",
            "parts[0]: must be a string or an array of integers from 0 to 2,147,483,647, not 5",
        ),
        (b'{"parts": ["a", [1, -2]]}', "parts", "parts[1][1]: must be an integer from 0 to 2,147,483,647, not -2"),
        (b'{"parts": ["a", [1, 2.0]]}', "parts", "not 2.0; write it without a decimal point"),
        (b'{"parts": ["a"], "text": "a"}', "text", "exactly one of text, token_ids and parts must be given"),
        (rb'{"parts": [[1], "\ud800"]}', "parts", f"parts: {UNPAIRED}"),
        (rb'{"text": "\ud800"', None, "the body is not JSON: unexpected end"),
        (rb'"\ud800"', None, r'the body must be a JSON object, not "\ud800"'),
        (rb'"te\ud800xt"', None, r'the body must be a JSON object, not "te\ud800xt"'),
        # One name in two spellings.
        (rb'{"te\u0078t": "a", "text": "b"}', "text", "text: duplicate field"),
        (rb'{"\u0074\u0065\u0078\u0074": "a", "te\u0078t": "b"}', "text", "text: duplicate field"),
        # Names that would not be seen.
        (b'{"": 1}', '""', '"": unknown field'),
        (rb'{"\u0000": 1}', r'"\u0000"', r'"\u0000": unknown field'),
        (rb'{"\u202etxet": 1}', r'"\u202etxet"', r'"\u202etxet": unknown field'),
        # Numbers beyond any that can be held, and words that are none.
        (b'{"text": "", "temperature": 1e400}', "temperature", f"temperature: must be a number from 0 to 100, {LARGE}"),
        (b'{"text": "", "temperature": -1e400}', "temperature", LARGE),
        (b'{"text": "", "top_k": 1e400}', "top_k", f"top_k: must be an integer from 1 to 1,000, {LARGE}"),
        (b'{"text": "", "draws": [0, 1e999]}', "draws", f"draws[1]: must be a number at least 0 and below 1, {LARGE}"),
        (b'{"text": "", "top_k": %s}' % (b"9" * 5000), "top_k", "top_k: must be an integer from 1 to 1,000"),
        (b'{"text": "", "top_k": -0}', "top_k", "from 1 to 1,000, not 0"),
        (b'{"text": "", "temperature": NaN}', "temperature", "NaN and Infinity are not JSON; must be a number"),
        (b'{"text": "", "draws": [0, -Infinity]}', "draws", "NaN and Infinity are not JSON; must be an array"),
        # Depth, and what stands before the body.
        (b'{"text": %s%s}' % (b"[" * 100_000, b"]" * 100_000), "text", "text: must be a string"),
        (b'{"x": ' * 100_000, "x", "x: unknown field"),
        (b'\xef\xbb\xbf{"text": ""}', None, "it starts with a byte order mark; remove it"),
        (b"\xff\xfe{\x00}\x00", None, "the body is not JSON: invalid character (byte 0)"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, field: str | None, words: str) -> None:
    refused = refusal(body, messages.NextTokenRequest)
    assert refused is not None
    refused_well(refused)
    assert refused.field == field
    assert words in str(refused)


@pytest.mark.parametrize(
    ("written", "read"), [("-0", 0.0), ("-0.0", 0.0), ("1e-400", 0.0), ("1E2", 100.0), ("0.1e1", 1.0)]
)
def test_numbers_in_range_are_read_however_they_are_written(written: str, read: float) -> None:
    assert parse(f'{{"text": "", "temperature": {written}}}'.encode(), messages.NextTokenRequest).temperature == read
    assert parse(b'{"te\\u0078t": "a"}', messages.NextTokenRequest).text == "a"
