"""What all plain values have in common: they can be shared between threads."""

import dataclasses
from types import ModuleType
from typing import Any

import pytest


def values_of(module: ModuleType) -> list[Any]:
    """The dataclasses that a module defines."""
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
    ]


def assert_unchangeable(kind: Any) -> None:
    """Fails for a dataclass whose values can be changed or given more attributes."""
    fields = dataclasses.fields(kind)
    value = kind(**{field.name: b"" for field in fields if field.init})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, fields[0].name, 1)
    assert not hasattr(value, "__dict__")
