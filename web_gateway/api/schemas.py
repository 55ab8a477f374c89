"""JSON in and out: strict reading, refusals that name field, fault and range. Knows neither HTTP nor protobuf."""

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
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
KINDS = {"array": "a list", "bool": "true or false", "float": "a number", "int": "a number", "str": "a text"}
SHOWN = 60  # characters of a value that a refusal repeats


def parse(body: bytes | bytearray, kind: type[R]) -> R:
    """The body as a request. Unknown and repeated fields, wrong types and values out of range raise InvalidRequest."""
    if not body or body.isspace():
        raise InvalidRequest("the body is empty; send a JSON object")
    try:
        request = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise misfit(error, body, kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, body, kind) from None
    json.loads(body, object_pairs_hook=refuse_repeats)
    return request


def render(answer: msgspec.Struct) -> bytes:
    """The answer as JSON: bytes in base64, infinities as null."""
    return msgspec.json.encode(answer)


def refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    """Refuses an object that names a field twice: answering one of the two would drop the other silently."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidRequest(f"{named(name)}: appears twice in the body", named(name))
        seen.add(name)


def misfit(error: msgspec.ValidationError, body: bytes | bytearray, kind: type[msgspec.Struct]) -> InvalidRequest:
    """The refusal of well-formed JSON that is not the request it should be."""
    if match := NOT_AN_OBJECT.fullmatch(str(error)):
        return InvalidRequest(f"the body must be a JSON object, not {KINDS.get(match['kind'], match['kind'])}")
    if match := UNKNOWN.fullmatch(str(error)):
        known = ", ".join(kind.__struct_fields__)
        return InvalidRequest(f"{named(match['name'])}: unknown field; known fields are {known}", named(match["name"]))
    if match := MISSING.fullmatch(str(error)):
        return InvalidRequest(f"{match['name']}: must be given", match["name"])
    match = FAULT.fullmatch(str(error))
    if match is None or match["path"] is None:
        return InvalidRequest(str(error), kind.__struct_fields__[0])
    field, *at = re.split(r"[\[\]]+", match["path"])
    root = lenient(body)
    value = next((value for name, value in root if name == field), ...) if isinstance(root, Pairs) else ...
    rule = schema(kind)["properties"][field]
    for index in at[:1]:
        value = value[int(index)] if isinstance(value, list) else ...
        rule = rule["items"]
    given = "" if value is ... else f", not {described(value)}"
    if rule["type"] == "integer" and isinstance(value, float) and value.is_integer():
        given += "; write it without a decimal point"
    return InvalidRequest(f"{match['path']}: must be {allowed(rule)}{given}", field)


def malformed(error: Exception, body: bytes | bytearray, kind: type[msgspec.Struct]) -> InvalidRequest:
    """The refusal of what is no JSON: by the field that breaks it, where a more lenient reader finds one."""
    root = lenient(body)
    if not isinstance(root, Pairs | Unread):
        return InvalidRequest(f"the body must be a JSON object, not {described(root)}")
    for field, value in root if isinstance(root, Pairs) else ():
        if HALF_CHARACTER.search(field):
            return InvalidRequest(f"the name of a field {unreadable(body)}")
        for part in parts(value):
            if isinstance(part, Constant):
                rule = schema(kind)["properties"].get(field)
                words = "" if rule is None else f"; must be {allowed(rule)}"
                return InvalidRequest(f"{named(field)}: NaN and Infinity are not JSON{words}", named(field))
            if isinstance(part, str) and HALF_CHARACTER.search(part):
                return InvalidRequest(f"{named(field)}: {unreadable(body)}", named(field))
    if isinstance(error, UnicodeDecodeError):
        return InvalidRequest(f"the body {unreadable(body)}")
    if body.startswith(codecs.BOM_UTF8):
        return InvalidRequest("the body is not JSON: it begins with a byte order mark; leave that off")
    if isinstance(error, RecursionError):
        return InvalidRequest("the body is nested too deeply")
    fault = str(error).removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends too early")
    return InvalidRequest(f"the body is not JSON: {fault}")


def unreadable(body: bytes | bytearray) -> str:
    """Why a text holds what is no character."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8 at byte {error.start} of the body"
    return "holds the escape of an unpaired surrogate, which is no character"


class Pairs(list[tuple[str, Any]]):
    """A JSON object with every field as often as it was written."""


class Constant(str):
    """A word that some writers of JSON use for what is no number: NaN, Infinity or -Infinity."""


class Unread:
    """What even the lenient reader can't read."""


def lenient(body: bytes | bytearray) -> object:
    """A body that the strict reader refuses: objects as Pairs, words for no number as Constant; else Unread."""
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"), object_pairs_hook=Pairs, parse_constant=Constant)
    except (ValueError, RecursionError):
        return Unread()


def parts(value: object) -> Iterator[object]:
    """A value, and all names and values within it, in the order they were written, however deep."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, Pairs):
            waiting += [each for pair in reversed(part) for each in reversed(pair)]
        elif isinstance(part, list):
            waiting += reversed(part)


def described(value: object) -> str:
    """A value as a refusal repeats it: short, and never a whole text."""
    match value:
        case str():
            return f"the text {shown(json.dumps(value, ensure_ascii=False))}"
        case Pairs():
            return "an object"
        case list():
            return f"a list of {len(value)}"
        case float() if math.isinf(value):
            return "a number too large to read"
        case _:
            return shown(json.dumps(value))


def named(field: str) -> str:
    """A field's name as a refusal repeats it: quoted where it is empty or can't be seen."""
    return shown(field if field.isprintable() and field else json.dumps(field))


def shown(text: str) -> str:
    """At most SHOWN characters of a text that may hold anything."""
    text = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


@cache
def schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of one struct."""
    (_, components) = msgspec.json.schema_components([kind], ref_template="{name}")
    found: dict[str, Any] = components[kind.__name__]
    return found


def allowed(rule: dict[str, Any], many: bool = False) -> str:
    """What a JSON schema allows, in words."""
    match rule["type"]:
        case "string":
            return "text that is not empty" if rule.get("minLength") else "text"
        case "boolean":
            return "true or false"
        case "array":
            most = f"at most {rule['maxItems']:,} " if "maxItems" in rule else ""
            return f"a list of {most}{allowed(rule['items'], many=True)}"
        case kind:
            noun = {"integer": "whole number", "number": "number"}[kind]
            return f"{noun}s {limits(rule)}" if many else f"a {noun} {limits(rule)}"


def limits(rule: dict[str, Any]) -> str:
    """The range of a number, in words."""
    if "exclusiveMinimum" in rule:
        return f"above {rule['exclusiveMinimum']:,} and up to {rule['maximum']:,}"
    if "exclusiveMaximum" in rule:
        return f"from {rule['minimum']:,} to below {rule['exclusiveMaximum']:,}"
    return f"from {rule['minimum']:,} to {rule['maximum']:,}"
