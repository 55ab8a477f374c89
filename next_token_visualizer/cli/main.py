"""Entry point. Without the libraries of the extra `all`, it has uv bring them, or says how to install them."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from importlib.util import find_spec

NAME = "next-token-visualizer"
NEEDED = ("click", "rich", "starlette", "torch", "transformers")


def main() -> None:
    """Runs the command line."""
    missing = [library for library in NEEDED if find_spec(library) is None]
    if missing:
        again = through_uv(os.environ, sys.argv[1:], spec())
        if not again:
            sys.exit(f"{NAME}: {', '.join(missing)} not installed. Install everything: pip install '{spec()}'")
        os.execv(again[0], again)  # noqa: S606 - uv names itself
    from next_token_visualizer.cli.commands import command

    command(prog_name=NAME)


def spec() -> str:
    """This distribution with all extras, as a requirement: from the file it was installed from, or this version."""
    installed = distribution(NAME)
    origin = json.loads(installed.read_text("direct_url.json") or "{}").get("url")
    return f"{NAME}[all] @ {origin}" if origin else f"{NAME}[all]=={installed.version}"


def through_uv(environment: Mapping[str, str], arguments: Sequence[str], requirement: str) -> list[str]:
    """The command that runs the same with the requirement, if uv runs this one (`uvx`); else empty."""
    uv = environment.get("UV", "")  # uv sets it for what it runs
    return [uv, "tool", "run", "--from", requirement, NAME, *arguments] if uv else []
