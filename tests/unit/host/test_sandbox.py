"""A script of one's own in a process of its own: what it takes too much of, and what comes after."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_server.host.sandbox import Exhausted, Sandbox

SCRIPT = """
    import os

    def answer(asked):
        while asked["for"] == "time":
            pass
        room = bytearray(300 << 20) if asked["for"] == "memory" else b""
        return {"process": os.getpid(), "environment": sorted(os.environ)}
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    made = Sandbox(script, 0.2, 200 << 20)
    yield made
    made.close()


def test_one_process_answers_until_a_request_ends_it(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "token")
    first = sandbox.ask({"for": "nothing"})
    assert sandbox.ask({"for": "nothing"}) == first
    assert "SECRET" not in first["environment"]
    for what, words in (("time", "takes more than 0.2 s"), ("memory", "needs more than 200 MiB of memory")):
        with pytest.raises(Exhausted, match=words):
            sandbox.ask({"for": what})
        assert sandbox.ask({"for": "nothing"})["process"] != first["process"]


def test_a_script_that_does_not_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("raise SystemExit(3)", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"none.py did not start: it ended with 3"):
        Sandbox(tmp_path / "none.py", 1, 1).ask({})
