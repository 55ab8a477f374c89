"""Strict JSON parsing. Errors name the field, what is wrong with it and the allowed range."""

import codecs
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec

from web_gateway.errors import InvalidRequest

R = TypeVar("R", bound=msgspec.Struct)

FAULT = re.compile(r"(?P<fault>.*?)(?: - at `\$\.(?P<path>.*)`)?", re.DOTALL)
UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
NOT_AN_OBJECT = re.compile(r"Expected `object`, got `(?P<kind>.*)`")
SURROGATE = re.compile("[\ud800-\udfff]")
TYPES = {"array": "an array", "bool": "a boolean", "float": "a number", "int": "a number", "str": "a string"}
MAX_QUOTED = 60  # characters of a value that an error quotes


def parse(body: bytes | bytearray, kind: type[R]) -> R:
    """Parses a request. Unknown, duplicate or mistyped fields and values out of range raise InvalidRequest."""
    if not body or body.isspace():
        raise InvalidRequest("the body is empty; send a JSON object")
    try:
        request = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise invalid(error, body, kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, body, kind) from None
    json.loads(body, object_pairs_hook=reject_duplicates)
    return request


def render(answer: msgspec.Struct) -> bytes:
    """Renders JSON: bytes in base64, infinities as null."""
    return msgspec.json.encode(answer)


def reject_duplicates(pairs: list[tuple[str, Any]]) -> None:
    """Raises InvalidRequest for a duplicate field, where one of the values would be dropped silently."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidRequest(f"{quoted_name(name)}: duplicate field", quoted_name(name))
        seen.add(name)


def invalid(error: msgspec.ValidationError, body: bytes | bytearray, kind: type[msgspec.Struct]) -> InvalidRequest:
    """The error for JSON that does not match the schema."""
    match = FAULT.fullmatch(str(error))
    fault, path = (match["fault"], match["path"] or "") if match else (str(error), "")
    if not path and (not_object := NOT_AN_OBJECT.fullmatch(fault)):
        return InvalidRequest(
            f"the body must be a JSON object, not {TYPES.get(not_object['kind'], not_object['kind'])}"
        )
    steps = re.findall(r"[^.\[\]]+", path)
    rule, value = found(steps, kind, lenient(body))
    inside = f"{path}." if path else ""
    if unknown := UNKNOWN.fullmatch(fault):
        name = quoted_name(unknown["name"])
        known = ", ".join(held(rule, "properties", kind))
        return InvalidRequest(f"{inside}{name}: unknown field; known fields are {known}", steps[0] if steps else name)
    if missing := MISSING.fullmatch(fault):
        return InvalidRequest(f"{inside}{missing['name']}: required", steps[0] if steps else missing["name"])
    if error.__cause__ is not None:  # raised by a struct about its fields together
        return InvalidRequest(f"{path}: {fault}" if path else fault, steps[0] if steps else kind.__struct_fields__[0])
    if not path:
        return InvalidRequest(fault, kind.__struct_fields__[0])
    actual = "" if value is ... else f", not {described(value)}"
    if rule.get("type") == "integer" and isinstance(value, float) and value.is_integer():
        actual += "; write it without a decimal point"
    return InvalidRequest(f"{path}: must be {allowed(rule)}{actual}", steps[0])


def found(steps: list[str], kind: type[msgspec.Struct], value: object) -> tuple[dict[str, Any], object]:
    """The rule and the value at a path of names and indices; `...` for a value that can't be found."""
    rule = schema(kind)[kind.__name__]
    for step in steps:
        if isinstance(value, Pairs):
            value = next((each for name, each in value if name == step), ...)
        elif isinstance(value, list) and step.isdecimal():
            value = value[int(step)]
        else:
            value = ...
        holds = "items" if step.isdecimal() else "properties"
        rule = held(rule, holds, kind)
        rule = rule if holds == "items" else rule[step]
        rule = schema(kind)[rule["$ref"]] if "$ref" in rule else rule
    return rule, value


def held(rule: dict[str, Any], holds: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """What a rule, or one of those it allows, says of its `items` or `properties`."""
    allowed = [schema(kind).get(each.get("$ref", ""), each) for each in (rule, *rule.get("anyOf", ()))]
    inner: dict[str, Any] = next(each[holds] for each in allowed if holds in each)
    return inner


def malformed(error: Exception, body: bytes | bytearray, kind: type[msgspec.Struct]) -> InvalidRequest:
    """The error for malformed JSON. Names the field at fault if a lenient parser can find it."""
    root = lenient(body)
    if not isinstance(root, Pairs | Unparsable):
        return InvalidRequest(f"the body must be a JSON object, not {described(root)}")
    for field, value in root if isinstance(root, Pairs) else ():
        if SURROGATE.search(field):
            return InvalidRequest(f"a field name {encoding_fault(body)}")
        for part in parts(value):
            if isinstance(part, Constant):
                rule = schema(kind)[kind.__name__]["properties"].get(field)
                expected = "" if rule is None else f"; must be {allowed(rule)}"
                return InvalidRequest(
                    f"{quoted_name(field)}: NaN and Infinity are not JSON{expected}", quoted_name(field)
                )
            if isinstance(part, str) and SURROGATE.search(part):
                return InvalidRequest(f"{quoted_name(field)}: {encoding_fault(body)}", quoted_name(field))
    if isinstance(error, UnicodeDecodeError):
        return InvalidRequest(f"the body {encoding_fault(body)}")
    if body.startswith(codecs.BOM_UTF8):
        return InvalidRequest("the body is not JSON: it starts with a byte order mark; remove it")
    if isinstance(error, RecursionError):
        return InvalidRequest("the body is nested too deeply")
    fault = str(error).removeprefix("JSON is malformed: ").replace("Input data was truncated", "unexpected end")
    return InvalidRequest(f"the body is not JSON: {fault}")


def encoding_fault(body: bytes | bytearray) -> str:
    """Why a string is not valid Unicode."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"is not valid UTF-8 (byte {error.start} of the body)"
    return "contains an unpaired surrogate"


class Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps duplicate fields."""


class Constant(str):
    """NaN, Infinity or -Infinity, which are not JSON."""


class Unparsable:
    """Not even leniently parsable."""


def lenient(body: bytes | bytearray) -> object:
    """Parses what the strict parser rejects: objects as Pairs, NaN and infinities as Constant; else Unparsable."""
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"), object_pairs_hook=Pairs, parse_constant=Constant)
    except (ValueError, RecursionError):
        return Unparsable()


def parts(value: object) -> Iterator[object]:
    """A value and all nested names and values, in order. Not recursive, so any depth works."""
    stack = [value]
    while stack:
        part = stack.pop()
        yield part
        if isinstance(part, Pairs):
            stack += [each for pair in reversed(part) for each in reversed(pair)]
        elif isinstance(part, list):
            stack += reversed(part)


def described(value: object) -> str:
    """A value as errors quote it, shortened."""
    match value:
        case str():
            return quoted(json.dumps(value, ensure_ascii=False))
        case Pairs():
            return "an object"
        case list():
            return f"an array of {len(value)}"
        case float() if math.isinf(value):
            return "a number out of range"
        case _:
            return quoted(json.dumps(value))


def quoted_name(field: str) -> str:
    """A field name as errors show it: in quotes if empty or not printable."""
    return quoted(field if field.isprintable() and field else json.dumps(field))


def quoted(text: str) -> str:
    """At most MAX_QUOTED characters, with lone surrogates escaped."""
    text = text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


@cache
def schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schemas of a struct and of those in it, by name."""
    (_, components) = msgspec.json.schema_components([kind], ref_template="{name}")
    return components


def allowed(rule: dict[str, Any], many: bool = False) -> str:
    """What a schema allows, for error messages."""
    if "anyOf" in rule:
        return (" and " if many else " or ").join(allowed(each, many) for each in rule["anyOf"])
    if "enum" in rule:
        return f"one of {', '.join(map(json.dumps, rule['enum']))}"
    match rule.get("type", "object"):
        case "string":
            one = "non-empty string" if rule.get("minLength") else "string"
            return f"{one}s" if many else f"a {one}"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "array":
            least = f"{rule['minItems']:,} to " if "minItems" in rule else "at most "
            size = f"{least}{rule['maxItems']:,} " if "maxItems" in rule else ""
            size = f"exactly {rule['minItems']:,} " if rule.get("minItems", 0) == rule.get("maxItems") else size
            return f"{'arrays' if many else 'an array'} of {size}{allowed(rule['items'], many=True)}"
        case "object":
            return "objects" if many else "an object"
        case kind:
            one = {"integer": "an integer", "number": "a number"}[kind]
            return f"{kind}s {limits(rule)}" if many else f"{one} {limits(rule)}"


def limits(rule: dict[str, Any]) -> str:
    """The range of a number, for error messages."""
    if "exclusiveMinimum" in rule:
        return f"above {rule['exclusiveMinimum']:,} and at most {rule['maximum']:,}"
    if "exclusiveMaximum" in rule:
        return f"at least {rule['minimum']:,} and below {rule['exclusiveMaximum']:,}"
    return f"from {rule['minimum']:,} to {rule['maximum']:,}"
