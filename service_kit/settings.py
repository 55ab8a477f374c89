"""Settings from the environment: one frozen struct per service, read once, every fault named by its variable."""

import ipaddress
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

PREFIX = "NEXTTOKEN_"


class Network:
    """An IP address, or a range of them such as 10.0.0.0/8."""

    def __init__(self, text: str) -> None:
        """Raises ValueError where the text is neither."""
        try:
            self._network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"{error}; give an address or a network such as 10.0.0.0/8") from error

    def __str__(self) -> str:
        return str(self._network)

    def __contains__(self, address: str) -> bool:
        try:
            return ipaddress.ip_address(address) in self._network
        except ValueError:
            return False


class HostName(str):
    """A name as the Host header has it, without a port; `*.` in front stands for one more part, `*` for any name."""

    __slots__ = ()

    def __new__(cls, text: str) -> "HostName":
        """Raises ValueError where the text is none."""
        if not re.fullmatch(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*|\[[0-9a-fA-F:.]+\]", text):
            raise ValueError(f"{text} is no host name such as example.org, *.example.org, 10.0.0.1 or [::1], nor *")
        return super().__new__(cls, text)


class Origin(str):
    """Where a page comes from, as the Origin header has it; `*` is any."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Origin":
        """Raises ValueError where the text is none."""
        if not re.fullmatch(r"\*|https?://[^/\s,]+", text):
            raise ValueError(f"{text} is no origin such as https://example.org, nor *")
        return super().__new__(cls, text)


class SettingsError(Exception):
    """A variable's value can't be used; the message names the variable, its fault and what is allowed."""


def variable(field: str) -> str:
    """The environment variable of a settings field."""
    return PREFIX + field.upper()


def read(settings: type[S], environment: Mapping[str, str]) -> S:
    """Builds the settings from the environment. Unset and blank variables take the field's default.

    Raises SettingsError for the first variable whose value does not fit.
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
        hint = get_type_hints(settings)[name]
        if get_origin(hint) is Literal:
            fault = f"Expected one of {', '.join(map(repr, get_args(hint)))}"
        elif hint is bool:
            fault = "Expected true or false"
        fault = fault.replace(" | null", "")  # a blank line is how null is said
        raise SettingsError(f"{variable(name)}={given[name]!r}: {fault.replace('`', '')}") from error


def read_or_exit(settings: type[S], environment: Mapping[str, str]) -> S:
    """As read, for a service's start: a fault is printed in one line and ends the process with status 1."""
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
