"""Published model files for tests, benchmarks and pictures: those that `make real` fetches, or in the folder that
NEXTTOKEN_REAL names. Knows what they are called and nothing of what is in them."""

import os
from pathlib import Path

import pytest

MODEL = "SmolLM2-135M-Instruct"
TOKENIZERS = ("gemma3", "gpt4o", "llama3", "qwen3")
NAMED = os.environ.get("NEXTTOKEN_REAL")
FOLDER = Path(NAMED or Path(__file__).parents[2] / "build" / "real").resolve()


def find(name: str) -> Path | None:
    """A folder of published files, such as MODEL or tokenizers/gemma3; None where it is not there."""
    path = FOLDER / name
    return path if path.is_dir() else None


def folder(name: str) -> Path:
    """A folder of published files. A test that finds none is skipped, unless NEXTTOKEN_REAL promised them: it fails."""
    if (path := find(name)) is not None:
        return path
    missing = f"no published {name} in {FOLDER}: `make real` fetches it"
    if NAMED:
        pytest.fail(missing)
    pytest.skip(missing)
