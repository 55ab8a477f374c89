"""A client whose model is ready: of a running server, or of one started for it."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nexttoken.v1 import next_token_pb2 as pb
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from next_token_visualizer.cli.processes import private_server
from next_token_visualizer.client import Client
from next_token_visualizer.connection import DEFAULT_PORT, Credentials
from next_token_visualizer.errors import ModelFailed, NotFound, Unavailable

START_S = 120.0  # for a server of our own; others are there or not
RETRY_S = 0.2
WORDS = {pb.MODEL_STATE_QUEUED: "waiting", pb.MODEL_STATE_LOADING: "loading"}


@contextmanager
def client_for(target: str, model: str, credentials: Credentials, console: Console) -> Iterator[Client]:
    """Connects to `target`; without one, to the usual port if a server is there, else to a server of our own.

    Waits for the model to be ready, with progress. Raises NextTokenError.
    """
    usual = f"localhost:{os.environ.get('NEXTTOKEN_GRPC_PORT') or DEFAULT_PORT}"
    if target or listening(usual):
        with Client(target or usual, credentials=credentials) as client:
            try:
                wait_for(client, model, console, 0.0)
            except Unavailable as error:
                raise Unavailable(f"can't reach an inference server at {target or usual}: {error}") from error
            yield client
        return
    with private_server({"NEXTTOKEN_MODEL": model} if model else {}) as own, Client(own) as client:
        wait_for(client, model, console, START_S)
        yield client


def listening(target: str) -> bool:
    """Whether something accepts connections there."""
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def wait_for(client: Client, name: str, console: Console, patience_s: float) -> None:
    """Until the model (empty: the default) is ready. Raises ModelFailed, NotFound or Unavailable."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting the server", total=None)
        for models in watch(client, patience_s):
            model = next((each for each in models if (each.name == name if name else each.is_default)), None)
            if model is None:
                raise NotFound(f"the server has no model {name}; it has {', '.join(each.name for each in models)}")
            if model.state == pb.MODEL_STATE_READY:
                return
            if model.state == pb.MODEL_STATE_FAILED:
                raise ModelFailed(model.reason)
            progress.update(
                task,
                description=f"{model.name}: {WORDS.get(model.state, 'downloading')}",
                completed=model.bytes_done,
                total=model.bytes_total or None,
            )
    raise Unavailable("the server stopped")


def watch(client: Client, patience_s: float) -> Iterator[list[pb.Model]]:
    """The models of a server that may take that long to start. Raises NextTokenError."""
    until = time.monotonic() + patience_s
    while True:
        try:
            yield from client.watch_models()
            return
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(RETRY_S)
