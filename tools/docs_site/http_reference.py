"""The OpenAPI document as a page: every path, answer, schema and field."""

import json
from typing import Any

from docs_site.prose import cell, prose, table

HEAD = """\
# HTTP reference

Generated from the gateway's OpenAPI document, which a running gateway serves at `/api/openapi.json`.
[The API](../api.md) shows how to use it.
"""
RANGES = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
LENGTHS = {"minItems": "≥", "maxItems": "≤", "minLength": "≥", "maxLength": "≤"}


def page(document: dict[str, Any]) -> str:
    """The page, in Markdown."""
    lines = [HEAD, prose(document["info"]["description"]), "", "## Paths", ""]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += [f"### {method.upper()} {path}", "", *called(operation)]
    lines += ["## Schemas", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += [f"### {name}", "", prose(schema.get("description", "")), "", *fields(schema)]
    return "\n".join(lines)


def called(operation: dict[str, Any]) -> list[str]:
    """What a path takes and returns."""
    lines = [f"{prose(operation['summary'])}{'' if operation['summary'].endswith('.') else '.'}", ""]
    if "security" in operation:
        lines += ["With a key as bearer token, if the operator requires one.", ""]
    for _, content in sorted(operation.get("requestBody", {}).get("content", {}).items()):
        lines += [f"Takes a {kind(content['schema'])}, such as:", ""]
        lines += ["```json", json.dumps(content["example"], ensure_ascii=False), "```", ""]
    rows = []
    for status, response in operation["responses"].items():
        bodies = "<br>".join(answer(media, content) for media, content in response.get("content", {}).items())
        words = "" if status == "200" else cell(response["description"])
        rows.append((status, bodies, words))
    return [*lines, *table(("status", "body", "when"), rows), ""]


def answer(media: str, content: dict[str, Any]) -> str:
    """One body that a response may have."""
    schema = content["schema"]
    if "x-events" in content:
        events = ", ".join(f"`{name}` {kind(event)}" for name, event in content["x-events"].items())
        return f"events: {events}"
    if "x-chunks" in content:
        return f"events: {kind(content['x-chunks'])}"
    if "allOf" in schema:
        first, second = schema["allOf"]
        codes = ", ".join(f"`{code}`" for code in named_codes(second))
        return f"{kind(first)} {codes}".strip()
    return kind(schema) if media == "application/json" else f"`{media}`"


def named_codes(schema: dict[str, Any]) -> list[str]:
    """The codes that an error's schema allows, at whatever depth it has them."""
    found = list(schema.get("enum", []))
    for inner in schema.get("properties", {}).values():
        found += named_codes(inner)
    return [str(code) for code in found]


def fields(schema: dict[str, Any]) -> list[str]:
    """The table of a schema's fields."""
    properties = schema.get("properties", {})
    if not properties:
        return []
    rows = []
    for name, field in properties.items():
        words = [field.get("description", "")] + [each.get("description", "") for each in field.get("anyOf", [])]
        default = "required" if name in schema.get("required", []) else ""
        if field.get("default") not in (None, "", []):
            default = f"`{json.dumps(field['default'])}`"
        rows.append((f"`{name}`", kind(field), default, cell(" ".join(filter(None, words)))))
    lines = [*table(("field", "type", "default", "meaning"), rows), ""]
    if "oneOf" in schema:
        names = ", ".join(f"`{each}`" for choice in schema["oneOf"] for each in choice["required"])
        lines += [f"Exactly one of {names}.", ""]
    return lines


def kind(schema: dict[str, Any]) -> str:
    """A schema's type and range in a few words, with a link if it has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    words = (
        {"array": f"list of {kind(schema['items'])}"}.get(schema["type"]) if "items" in schema else schema.get("type")
    )
    if schema.get("contentEncoding"):
        words = f"{words} in {schema['contentEncoding']}"
    if isinstance(schema.get("additionalProperties"), dict):
        words = f"{words} of {kind(schema['additionalProperties'])}"
    return f"{words}{within(schema)}"


def within(schema: dict[str, Any]) -> str:
    """The range of a number, or of a length."""
    ranges = [f"{sign} {number(schema[key])}" for key, sign in RANGES.items() if key in schema]
    lengths = [f"{sign} {number(schema[key])}" for key, sign in LENGTHS.items() if key in schema]
    words = [*ranges, *([f"length {' and '.join(lengths)}"] if lengths else [])]
    return "".join(f", {each}" for each in words).replace("<", "&lt;").replace(">", "&gt;")


def number(value: float) -> str:
    """A bound as people write it."""
    return f"{value:,}"
