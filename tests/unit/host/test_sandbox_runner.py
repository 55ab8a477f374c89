"""The process of a sandbox, spoken to by its pipes."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

from inference_server.host import sandbox_runner

SCRIPT = """
    import sys
    from pathlib import Path

    def answer(asked):
        try:
            Path(asked["file"]).write_text("something")
        except OSError as error:
            return {"error": error.strerror, "project": [name for name in sys.modules if name.startswith("inference")]}
        return {"error": ""}
"""


def test_it_answers_line_by_line_writes_no_file_and_ends_with_its_input(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    asked = json.dumps({"file": str(tmp_path / "written.txt")}) + "\n"
    command = [sys.executable, "-I", sandbox_runner.__file__, str(script), "2", str(1 << 30)]
    done = subprocess.run(command, input=asked * 2, capture_output=True, text=True, check=True, timeout=60)
    ready, *answers = done.stdout.splitlines()
    assert ready == ""
    assert [json.loads(line) for line in answers] == [{"error": "File too large", "project": []}] * 2
    assert not (tmp_path / "written.txt").read_text()


REFUSING = """
import resource, runpy, sys
set_limit = resource.setrlimit

def refuse(kind, limits):
    if kind == resource.RLIMIT_AS:
        raise ValueError("current limit exceeds maximum limit")
    set_limit(kind, limits)

resource.setrlimit = refuse
runpy.run_path(RUNNER, run_name="__main__")
"""


def test_a_system_that_cannot_limit_memory_is_no_fault(tmp_path: Path) -> None:
    """As macOS; the other limits hold."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    prelude = f"RUNNER = {sandbox_runner.__file__!r}\n{REFUSING}"
    command = [sys.executable, "-I", "-c", prelude, str(script), "2", str(1 << 30)]
    asked = json.dumps({"file": str(tmp_path / "written.txt")}) + "\n"
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout.splitlines()[1])["error"] == "File too large"
