"""What the tiers say of themselves, over gRPC and over HTTP; and that it holds."""

import importlib.metadata
import platform
import tomllib
from pathlib import Path
from typing import Any

import fakes
import grpc
from calls import failure
from gateways import NOWHERE, gateway_here, problem
from nexttoken.v1 import next_token_pb2 as pb
from servers import connect, ready, server_here

from inference_server import messages
from inference_server import settings as inference

ROOT = Path(__file__).parents[3]
SECRET = "a-secret-that-nobody-is-told"  # noqa: S105


async def test_both_tiers_say_what_they_are() -> None:
    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0, max_text_bytes=7_000_000, queue_limit=9)
    async with server_here(chosen, fakes.fetch, lambda name, folder: fakes.FakeEngine()) as server:
        async with connect(f"127.0.0.1:{server.port}") as stub:
            await ready(stub, "bundled")
        async with gateway_here(f"127.0.0.1:{server.port}", timeout_s=12.5, max_body_bytes=4321) as gateway:
            told = (await gateway.web.get("/api/info")).json()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert told["inference"]["versions"] == {
        "project": project,
        "python": platform.python_version(),
        "grpc": grpc.__version__,
        "torch": importlib.metadata.version("torch"),
        "transformers": importlib.metadata.version("transformers"),
    }
    assert told["inference"]["limits"] == {
        "max_text_bytes": 7_000_000,
        "max_prompt_tokens": fakes.CONTEXT_LIMIT,
        "max_top_k": messages.MAX_TOP_K,
        "max_score_top_k": messages.MAX_ALTERNATIVES,
        "max_watch_token_ids": messages.MAX_WATCHED,
        "max_draws": messages.MAX_DRAWS,
        "max_request_bytes": 7_000_000 + 2**20,
        "max_response_bytes": 64 * 2**20,
        "queue_limit": 9,
    }
    assert told["inference"]["default_model"] == "bundled"
    assert told["inference"]["uptime_s"] > 0
    starlette = importlib.metadata.version("starlette")
    here = {"project": project, "python": platform.python_version(), "grpc": grpc.__version__, "starlette": starlette}
    assert told["gateway"]["versions"] == here
    assert told["gateway"]["limits"] == {"max_body_bytes": 4321, "max_answer_bytes": 16 * 2**20, "timeout_s": 12.5}


async def test_the_largest_request_is_as_large_as_told() -> None:
    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0)
    async with (
        server_here(chosen, fakes.fetch, lambda name, folder: fakes.FakeEngine()) as server,
        connect(f"127.0.0.1:{server.port}") as stub,
    ):
        await ready(stub, "bundled")
        limit = (await stub.Info(pb.InfoRequest())).limits.max_request_bytes
        room = limit - pb.TopKRequest(model="no such", text="x" * limit).ByteSize()
        for more, code in ((0, grpc.StatusCode.NOT_FOUND), (1, grpc.StatusCode.RESOURCE_EXHAUSTED)):
            request = pb.TopKRequest(model="no such", text="x" * (limit + room + more))
            assert request.ByteSize() == limit + more
            assert (await failure(stub.TopK(request))).code() is code


async def test_secrets_stay_out(tmp_path: Path) -> None:
    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0, auth_token=SECRET)
    async with (
        server_here(chosen, fakes.fetch, lambda name, folder: fakes.FakeEngine()) as server,
        gateway_here(f"127.0.0.1:{server.port}", auth_token=SECRET) as gateway,
    ):
        answer = await gateway.web.get("/api/info")
        assert answer.status_code == 200
        assert SECRET not in answer.text


async def test_a_gateway_alone_answers_as_it_does_elsewhere() -> None:
    async with gateway_here(NOWHERE) as gateway:
        problem(await gateway.web.get("/api/info"), 503, "unavailable")


async def test_a_server_that_still_loads_can_be_asked() -> None:
    def load(name: str, folder: Any) -> Any:
        raise AssertionError("a fault")

    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0)
    async with (
        server_here(chosen, fakes.fetch, load) as server,
        connect(f"127.0.0.1:{server.port}") as stub,
    ):
        assert (await stub.Info(pb.InfoRequest())).limits.max_prompt_tokens == 0
