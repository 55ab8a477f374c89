"""The README's path of a click beside the files that a click runs, recorded in a real server."""

import asyncio
import contextlib
import re
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here

import inference_server
from inference_server.server import InferenceServer
from inference_server.settings import Settings

HOUSE = Path(inference_server.__file__).parent
README = (HOUSE.parent / "README.md").read_text()
PROMPT = "Once upon a time there was a"
REPORTING = {"server.py", "ops/readiness.py"}  # to health checks, each second, whatever else happens
MOST_FILES = 33  # of the inference server, with every one of which a function is called


def readme_path() -> list[str]:
    """The inference server's files in the README's path of a click, in its order."""
    drawn = README.partition("## The path of a click")[2].partition("```")[2].partition("```")[0]
    return re.findall(r"[a-z]+/[a-z_]+\.py", drawn.partition("inference_server/")[2])


class Recorder:
    """Which of the server's files run while it records, in the order of their first call."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.recording = False

    def __call__(self, frame: Any, event: str, _: object) -> None:
        if self.recording and event == "call":
            path = Path(frame.f_code.co_filename)
            if HOUSE in path.parents and (file := path.relative_to(HOUSE).as_posix()) not in REPORTING:
                self.files.setdefault(file)

    async def of(self, stub: Any, text: str) -> tuple[list[str], pb.TopKResponse]:
        """The files that one request runs, and its answer."""
        self.files, self.recording = {}, True
        try:
            answer = await stub.TopK(pb.TopKRequest(text=text, model="bundled", top_k=5))
        finally:
            self.recording = False
        return list(self.files), answer


@contextlib.asynccontextmanager
async def recorded(lookahead: int) -> AsyncIterator[tuple[Recorder, InferenceServer, Any]]:
    """A recorder and a server of the bundled model, whose threads begin under it."""
    recorder = Recorder()
    threading.setprofile(recorder)
    sys.setprofile(recorder)
    try:
        settings = Settings(model="bundled", grpc_port=0, lookahead=lookahead, drain_s=0)
        async with server_here(settings) as server, connect(f"127.0.0.1:{server.port}") as stub:
            await ready(stub, "bundled")
            yield recorder, server, stub
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def test_a_click_takes_the_path_in_the_readme() -> None:
    async with recorded(lookahead=0) as (recorder, _, stub):
        await recorder.of(stub, PROMPT)
        files, answer = await recorder.of(stub, PROMPT + " little")
    assert answer.prompt.token_count - answer.prompt.cached_tokens == 1
    drawn = readme_path()
    assert [file for file in files if file in drawn] == drawn
    assert len(files) <= MOST_FILES


async def test_a_prefetched_click_runs_no_pass() -> None:
    async with recorded(lookahead=5) as (recorder, server, stub):
        _, before = await recorder.of(stub, PROMPT)
        clicked = PROMPT + before.candidates[0].token.text
        async with asyncio.timeout(PATIENCE_S):
            while not server.stats().models["bundled"].prefetch_passes:  # noqa: ASYNC110  on the worker's thread
                await asyncio.sleep(0.05)
        files, answer = await recorder.of(stub, clicked)
    assert answer.lookahead_hit
    described = files.index("sampling/distribution.py")  # behind it, the next prefetch may begin
    assert not {"attention/batch.py", "attention/paged_attention.py"} & set(files[:described])
