"""The entry point when the libraries of the extra `all` are missing, and the options made from settings."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import inference_server.settings
import web_gateway.settings
from next_token_visualizer.cli import settings
from next_token_visualizer.cli.main import spec, through_uv
from service_kit.settings import describe

BOTH = (inference_server.settings.Settings, web_gateway.settings.Settings)


def test_uv_is_asked_to_bring_everything() -> None:
    again = through_uv({"UV": "/bin/uv"}, ["predict", "a b"], "next-token-visualizer[all]==1")
    assert again == [
        *("/bin/uv", "tool", "run", "--from", "next-token-visualizer[all]==1"),
        *("next-token-visualizer", "predict", "a b"),
    ]
    assert through_uv({}, [], "x") == []


def test_what_is_missing_is_named_with_the_command_that_brings_it() -> None:
    code = (
        "import sys, next_token_visualizer.cli.main as entry; entry.NEEDED = ('click', 'absent_library'); entry.main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": ""})
    assert ended.returncode == 1
    assert f"absent_library not installed. Install everything: pip install '{spec()}'" in ended.stderr


@pytest.mark.parametrize("kind", BOTH)
def test_each_setting_is_an_option_with_its_default_and_meaning(kind: type) -> None:
    found = {option.envvar: option for option in settings.options(*BOTH) if isinstance(option, click.Option)}
    for variable, default, meaning in describe(kind):
        text = found[variable].help or ""
        assert meaning[1:] in text
        assert f"[default: {default}]" in text or not default


def test_options_become_the_variables_of_the_settings() -> None:
    seen: dict[str, str] = {}

    @click.command(params=settings.options(*BOTH))
    def command(**given: object) -> None:
        seen.update(settings.environment(given))

    runner = CliRunner(env={"NEXTTOKEN_MODEL": "gpt2"})
    assert runner.invoke(command, ["--queue-limit", "7"]).exit_code == 0
    assert {name: value for name, value in seen.items() if name in ("NEXTTOKEN_MODEL", "NEXTTOKEN_QUEUE_LIMIT")} == {
        "NEXTTOKEN_MODEL": "gpt2",
        "NEXTTOKEN_QUEUE_LIMIT": "7",
    }
