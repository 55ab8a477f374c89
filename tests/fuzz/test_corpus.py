"""What fuzzing has found is tried again: inputs that once failed, and those that reach far."""

from pathlib import Path

import pytest

from fuzz.data import Data
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = [(name, path) for name in TARGETS for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize(("name", "path"), INPUTS, ids=[f"{name}-{path.name[:20]}" for name, path in INPUTS])
def test_an_input(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


def test_every_target_has_inputs() -> None:
    assert {name for name, _ in INPUTS} == set(TARGETS)


def test_choices_end_where_the_bytes_do() -> None:
    data = Data(b"\x05ab")
    assert (data.choice("xyz"), data.number(1000), list(data.some(3)), data.rest()) == ("z", 0x616200 % 1000, [], b"")
