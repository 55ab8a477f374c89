"""Reads settings structs from the environment; errors name the variable."""

import ipaddress
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

PREFIX = "NEXTTOKEN_"


class Network:
    """An IP address or network such as 10.0.0.0/8."""

    def __init__(self, text: str) -> None:
        """Raises ValueError."""
        try:
            self._network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"{error}; must be an address or a network such as 10.0.0.0/8") from error

    def __str__(self) -> str:
        return str(self._network)

    def __contains__(self, address: str) -> bool:
        try:
            return ipaddress.ip_address(address) in self._network
        except ValueError:
            return False


class HostName(str):
    """A host name without a port; `*.` matches one more label, `*` any name."""

    __slots__ = ()

    def __new__(cls, text: str) -> "HostName":
        """Raises ValueError."""
        if not re.fullmatch(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*|\[[0-9a-fA-F:.]+\]", text):
            raise ValueError(f"{text} must be a host name such as example.org, *.example.org, 10.0.0.1 or [::1], or *")
        return super().__new__(cls, text)


class Origin(str):
    """A value of the Origin header; `*` matches any."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Origin":
        """Raises ValueError."""
        if not re.fullmatch(r"\*|https?://[^/\s,]+", text):
            raise ValueError(f"{text} must be an origin such as https://example.org, or *")
        return super().__new__(cls, text)


class SettingsError(Exception):
    """The message names the variable, what is wrong and what is allowed."""


def variable(field: str) -> str:
    """The environment variable of a settings field."""
    return PREFIX + field.upper()


def read(settings: type[S], environment: Mapping[str, str]) -> S:
    """Settings from the environment; unset and blank variables keep the default.

    Raises SettingsError for the first invalid value.
    """
    given = {name: environment.get(variable(name), "").strip() for name in settings.__struct_fields__}
    values: dict[str, object] = {name: text for name, text in given.items() if text}
    for name, hint in get_type_hints(settings).items():
        if name in values and get_origin(hint) is tuple:
            values[name] = [part.strip() for part in given[name].split(",") if part.strip()]
    try:
        return msgspec.convert(values, settings, strict=False, dec_hook=lambda kind, text: kind(text))
    except msgspec.ValidationError as error:
        fault, _, path = str(error).partition(" - at `$.")
        name = path.rstrip("`").split("[")[0]
        hint = get_type_hints(settings, include_extras=True)[name]
        if get_origin(get_type_hints(settings)[name]) is not tuple:  # a part of a list says itself what is wrong
            fault = f"must be {allowed(msgspec.json.schema(hint))}"
        raise SettingsError(f"{variable(name)}={given[name]!r}: {fault}") from error


def allowed(rule: dict[str, Any]) -> str:
    """What a field's JSON schema allows, for error messages; null is written as blank."""
    rule = rule.get("anyOf", [rule])[0]
    if "enum" in rule:
        return f"one of {', '.join(map(repr, rule['enum']))}"
    if rule["type"] == "boolean":
        return "true or false"
    kind = {"integer": "a whole number", "number": "a number"}[rule["type"]]
    most = rule.get("maximum")
    if "exclusiveMinimum" in rule:
        return f"{kind} above {rule['exclusiveMinimum']:g}" + ("" if most is None else f" and at most {most:g}")
    return f"{kind} from {rule['minimum']}" + (" up" if most is None else f" to {most}")


def read_or_exit(settings: type[S], environment: Mapping[str, str]) -> S:
    """`read`, but exits with status 1 and a one-line message on errors."""
    try:
        return read(settings, environment)
    except SettingsError as error:
        sys.exit(f"cannot start: {error}")


def describe(settings: type[msgspec.Struct]) -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of each field; the meaning is the description in the field's Meta."""
    rows = []
    hints = get_type_hints(settings, include_extras=True)
    for field in msgspec.structs.fields(settings):
        hint = hints[field.name]
        metas = [m for m in get_args(hint)[1:] if isinstance(m, msgspec.Meta)] if get_origin(hint) is Annotated else []
        meaning = next((m.description for m in metas if m.description), "")
        rows.append((variable(field.name), _as_text(field.default), meaning))
    return rows


def _as_text(default: object) -> str:
    """A default as one would write it into the environment."""
    match default:
        case None:
            return ""
        case bool():
            return str(default).lower()
        case tuple():
            return ",".join(map(str, default))
        case _:
            return str(default)
