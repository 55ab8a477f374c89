"""What a fault's traceback shows: where it happened, never what the values were."""

import subprocess
import sys

import pytest

SCRIPT = """
import structlog
from service_kit import logs

def answer(prompt):
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        structlog.get_logger().exception("unexpected fault")

logs.configure("service", "{log_format}", "info")
answer("my " + "secret")
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_is_logged_without_the_values_in_it(log_format: str) -> None:
    script = SCRIPT.replace("{log_format}", log_format)
    logged = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    assert "unexpected fault" in logged
    assert "RuntimeError: boom" in logged
    assert "my secret" not in logged
