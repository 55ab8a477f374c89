"""The commands: serve, gateway, inference, predict, score, models."""

import os
import runpy
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console

import inference_server.settings
import web_gateway.settings
from next_token_visualizer.cli import processes, settings, show
from next_token_visualizer.cli.waiting import client_for
from next_token_visualizer.client import Client
from next_token_visualizer.connection import DEFAULT_TARGET, Credentials
from next_token_visualizer.errors import NextTokenError
from service_kit.settings import read_or_exit

BOTH = (inference_server.settings.Settings, web_gateway.settings.Settings)
out, notes = Console(), Console(stderr=True)


@click.group(invoke_without_command=True)
@click.version_option(package_name="next-token-visualizer")
@click.pass_context
def command(context: click.Context) -> None:
    """See which tokens a language model might produce next. Without a command: serve."""
    if context.invoked_subcommand is None:
        context.invoke(serve, browser=True)


@click.command(params=settings.options(*BOTH))
@click.option("--browser/--no-browser", default=True, help="Open the page once it answers.  [default: open]")
def serve(browser: bool, **given: Any) -> None:
    """Run the inference server and the page; Ctrl-C stops both."""
    chosen = settings.environment(given)
    for name in ("NEXTTOKEN_PORT", "NEXTTOKEN_GRPC_PORT"):
        if chosen.get(name) == "0":  # chosen here: both services and the browser have to know it
            chosen[name] = processes.free_port()
    for kind in BOTH:  # in one line here, rather than by one service beside the other's first ones
        read_or_exit(kind, {**os.environ, **chosen})
    port = chosen.get("NEXTTOKEN_GRPC_PORT", "50051")
    target = chosen.get("NEXTTOKEN_INFERENCE_TARGET", f"localhost:{port}")
    page = f"http://localhost:{chosen.get('NEXTTOKEN_PORT', '5005')}"
    running = [
        processes.start("web_gateway", {**chosen, "NEXTTOKEN_INFERENCE_TARGET": target}),
        processes.start("inference_server", chosen),
    ]
    if browser:
        processes.when_answering(f"{page}/healthz", lambda: webbrowser.open(page))
    sys.exit(processes.supervise(running))


@click.command(params=settings.options(web_gateway.settings.Settings))
def gateway(**given: Any) -> None:
    """Run the page alone, in front of an inference server elsewhere."""
    become("web_gateway", given)


@click.command(params=settings.options(inference_server.settings.Settings))
def inference(**given: Any) -> None:
    """Run the inference server alone."""
    become("inference_server", given)


def become(module: str, given: dict[str, Any]) -> None:
    """Runs a service in this process."""
    os.environ.update(settings.environment(given))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def connection_options() -> list[click.Parameter]:
    """What the commands that ask a server have in common."""
    return [
        click.Option(
            ["--target"],
            default="",
            envvar="NEXTTOKEN_INFERENCE_TARGET",
            help=f"A running inference server.  [default: {DEFAULT_TARGET} if there is one, else one started for this]",
        ),
        click.Option(["--model"], default="", envvar="NEXTTOKEN_MODEL", help="Model name.  [default: the server's]"),
        click.Option(
            ["--token-file"],
            type=click.Path(path_type=Path, exists=True),
            envvar="NEXTTOKEN_AUTH_TOKEN_FILE",
            help="File with the server's token.",
        ),
        click.Option(
            ["--ca"],
            type=click.Path(path_type=Path, exists=True),
            envvar="NEXTTOKEN_TLS_CA",
            help="PEM file with the authorities for the server's certificate.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the answer as JSON."),
    ]


def ask(
    call: Callable[[Client], Any],
    render: Callable[[Console, Any], None],
    *,
    target: str,
    model: str,
    token_file: Path | None,
    ca: Path | None,
    as_json: bool,
) -> None:
    """Asks a server one question and prints the answer; a failure ends the command with its message."""
    credentials = Credentials(token=token_file.read_text().split()[0] if token_file else "", ca=ca)
    try:
        with client_for(target, model, credentials, notes) as client:
            answer = call(client)
    except NextTokenError as error:
        raise click.ClickException(str(error)) from error
    (show.as_json if as_json else render)(out, answer)


@click.command(params=connection_options())
@click.argument("text")
@click.option("--top-k", default=10, help="Number of candidates.", show_default=True)
@click.option("--temperature", default=1.0, help="Divides the logits before softmax.", show_default=True)
def predict(text: str, top_k: int, temperature: float, **connection: Any) -> None:
    """Print the most likely next tokens of TEXT."""
    name = connection["model"]
    ask(lambda client: client.top_k(text, model=name, top_k=top_k, temperature=temperature), show.top_k, **connection)


@click.command(params=connection_options())
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--top-k", default=0, help="Alternatives at each token.", show_default=True)
def score(file: TextIO, top_k: int, **connection: Any) -> None:
    """Print how likely each token of FILE (-: standard input) is after those before it."""
    try:
        text, name = file.read(), connection["model"]
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file.name} is not UTF-8 text: {error.reason} at byte {error.start:,}") from error

    def call(client: Client) -> Any:
        with notes.status("scoring"):
            return client.score(text, model=name, top_k=top_k)

    ask(call, show.score, **connection)


@click.command(params=connection_options())
def models(**connection: Any) -> None:
    """Print the server's models."""
    ask(lambda client: client.models(), show.models, **connection)


for each in (serve, gateway, inference, predict, score, models):
    command.add_command(each)
