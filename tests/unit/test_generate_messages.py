"""What Generate is asked and answers: values that can be shared between threads."""

import dataclasses
from typing import Any

import pytest

from inference_server import generate_messages

VALUES = [
    kind
    for kind in vars(generate_messages).values()
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == generate_messages.__name__
]


@pytest.mark.parametrize("kind", VALUES)
def test_nobody_changes_a_value(kind: Any) -> None:
    value = kind(**{field.name: b"" for field in dataclasses.fields(kind)})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(kind)[0].name, 1)
    assert not hasattr(value, "__dict__")
