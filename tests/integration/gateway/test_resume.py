"""A stream whose server stops or dies goes on elsewhere: no token is lost, none comes twice."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import httpx
import pytest
import torch
from calls import bad_field, failure
from gateways import gateway_here, problem, until
from nexttoken.v1 import next_token_pb2 as pb
from replicas import Replica, replicas, target
from servers import PATIENCE_S, connect, ready, server_here

from inference_server import settings as inference
from web_gateway.errors import Unavailable
from web_gateway.generate_messages import GenerateStart
from web_gateway.inference import resume
from web_gateway.inference.resume import Generation

STREAMS = 8
TOKENS = 250  # 10 ms each
DEPTH = 100  # nodes, and as many masses


@pytest.fixture(scope="module")
def three() -> Iterator[list[Replica]]:
    with replicas(3, {"NEXTTOKEN_GRACE_S": "0.1", "NEXTTOKEN_DRAIN_S": "0.2"}) as found:
        yield found


async def generated(
    web: httpx.AsyncClient, session: str, seen: list[str] | None = None, path: str = "/api/generate", **fields: Any
) -> list[Any]:
    """All events of a stream as (name, data), whose names are also noted in `seen` as they come."""
    events = []
    async with web.stream("POST", path, json=fields, headers={"x-session": session}) as answer:
        assert answer.status_code == 200, await answer.aread()
        name = ""
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                events.append((name, json.loads(value)))
                if seen is not None:
                    seen.append(name)
    return events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_rolling_restart_costs_no_token_and_no_node(three: list[Replica], number: signal.Signals) -> None:
    seen: list[str] = []
    async with gateway_here(target(three)) as gateway:
        ask = partial(generated, gateway.web)
        texts = [ask(f"s{at}", seen, token_ids=[at], max_tokens=TOKENS, n=2, seed=at) for at in range(STREAMS)]
        trees = [ask(f"s{at}", seen, "/api/grow", token_ids=[at], depth=DEPTH) for at in range(STREAMS)]
        asked = asyncio.gather(asyncio.gather(*texts), asyncio.gather(*trees))
        await until(lambda: min(seen.count("token"), seen.count("node")) >= 10 * STREAMS)
        for replica in three:
            replica.send(number)
            await asyncio.to_thread(replica.server.end)
            await asyncio.to_thread(replica.come_back)
        written, grown = await asked
    for at, events in enumerate(written):
        names = [name for name, _ in events]
        assert (names[0], names.count("start"), names[-2:]) == ("start", 1, ["finish", "finish"])
        for index in range(2):
            own = [data["token"]["token_id"] for name, data in events if name == "token" and data["index"] == index]
            assert own == [(at + step) % 256 for step in range(1, TOKENS + 1)]
        assert [data["token_count"] for name, data in events if name == "finish"] == [TOKENS, TOKENS]
    for at, events in enumerate(grown):
        names = [name for name, _ in events]
        assert (names[0], names.count("start"), names.count("finish"), names[-1]) == ("start", 1, 1, "finish")
        nodes = [(data["id"], data["parent"], data["token"]["token_id"]) for name, data in events if name == "node"]
        assert nodes == [(depth, depth - 1, (at + depth) % 256) for depth in range(1, DEPTH + 1)]
        assert events[-1][1]["node_count"] == DEPTH
        assert DEPTH - 4 <= names.count("mass") < DEPTH  # one is left out where a stream breaks between it and its node


async def test_another_server_writes_the_same_text() -> None:
    """The real model, stopped in the middle of four continuations."""
    torch.set_num_threads(1)
    async with contextlib.AsyncExitStack() as stack:
        servers = []
        for host in ("127.0.0.1", "127.0.0.2"):
            settings = inference.Settings(model="bundled", grpc_host=host, grpc_port=0, drain_s=0, grace_s=0)
            servers.append(await stack.enter_async_context(server_here(settings)))
            async with connect(f"{host}:{servers[-1].port}") as stub:
                await ready(stub, "bundled")
        both = "ipv4:" + ",".join(f"{server.settings.grpc_host}:{server.port}" for server in servers)
        gateway = await stack.enter_async_context(gateway_here(both))
        seen: list[str] = []
        fields: dict[str, Any] = {"text": "Once upon a time", "seed": 6, "n": 4, "max_tokens": 80, "stop_token_ids": []}
        asked = asyncio.create_task(generated(gateway.web, "s", seen, **fields))
        await until(lambda: seen.count("token") >= 40)
        busy, other = sorted(servers, key=lambda server: -server.scheduler.in_flight)
        assert (busy.scheduler.in_flight, other.scheduler.in_flight) == (1, 0)
        await busy.stop()
        broken = await asked
        whole = await generated(gateway.web, "s", **fields)

    def texts(events: list[Any]) -> dict[int, tuple[str, list[int]]]:
        ids: dict[int, list[int]] = {index: [] for index in range(4)}
        for name, data in events:
            if name == "token":
                ids[data["index"]].append(data["token"]["token_id"])
        return {data["index"]: (data["text"], ids[data["index"]]) for name, data in events if name == "finish"}

    assert texts(broken) == texts(whole)
    assert len(texts(whole)) == 4
    assert [name for name, _ in broken].count("start") == 1


async def test_no_server_to_go_on_with_is_an_error_in_the_end(
    three: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "PATIENCE_S", 0.5)
    seen: list[str] = []
    with replicas(1) as (only,):
        async with gateway_here(target([only])) as gateway:
            asked = asyncio.create_task(generated(gateway.web, "s", seen, token_ids=[1], max_tokens=TOKENS))
            tree = asyncio.create_task(generated(gateway.web, "s", seen, "/api/grow", token_ids=[1], depth=DEPTH))
            await until(lambda: min(seen.count("token"), seen.count("node")) > 5)
            only.send(signal.SIGKILL)
            async with asyncio.timeout(PATIENCE_S):
                *_, (name, told) = await asked
                *events, (broken, why) = await tree
            assert (name, told["code"]) == ("error", "unavailable")
            nodes = sum(kind == "node" for kind, _ in events)
            assert (broken, why["code"]) == ("error", "unavailable")
            assert why["error"].endswith(f"(broken off after {nodes} nodes)")
            problem(await gateway.web.post("/api/generate", json={"text": "a"}), 503, "unavailable")


def test_what_goes_on_is_what_had_not_ended() -> None:
    request = pb.GenerateRequest(text="a", n=3, resume=[pb.GeneratedSoFar(index=2, token_ids=[5])])
    progress = Generation(request)
    with pytest.raises(Unavailable):
        progress.go_on(Unavailable("gone"))
    assert progress.takes(GenerateStart(model="m", token_ids=[1, 2], seed=9, context_limit=64))
    progress.go_on(Unavailable("gone"))
    assert progress.request == pb.GenerateRequest(
        model="m",
        token_ids=pb.TokenIds(ids=[1, 2]),
        n=3,
        seed=9,
        resume=[pb.GeneratedSoFar(index=2, token_ids=[5])],
    )
    assert not progress.takes(GenerateStart(model="m", token_ids=[1, 2], seed=9, context_limit=64))
    assert not progress.complete


def generation(asked: dict[str, Any], **fields: Any) -> pb.GenerateRequest:
    return pb.GenerateRequest(**{**asked, **fields})


async def whole(stub: Any, request: pb.GenerateRequest) -> tuple[dict[int, list[Any]], dict[int, Any]]:
    """The tokens and the finish of each continuation, as they come after the start."""
    tokens: dict[int, list[Any]] = {index: [] for index in range(request.n)}
    finishes = {}
    async for event in stub.Generate(request, timeout=PATIENCE_S):
        if event.HasField("token"):
            tokens[event.token.index].append(event.token.token.token)
        elif event.HasField("finish"):
            event.finish.ClearField("timings")
            finishes[event.finish.index] = event.finish
    return tokens, finishes


async def test_a_stream_that_broke_between_its_last_token_and_its_finish() -> None:
    """Whoever has all tokens and no finish gets that alone, beside a continuation that goes on."""
    torch.set_num_threads(1)
    settings = inference.Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=0)
    prompt: dict[str, Any] = {"token_ids": {"ids": [300, 400]}, "seed": 3, "n": 2, "stop_token_ids": {}}
    async with server_here(settings) as server, connect(f"127.0.0.1:{server.port}") as stub:
        await ready(stub, "bundled")
        longer, _ = await whole(stub, generation(prompt, max_tokens=6))
        fourth = longer[0][3]
        cases: dict[Any, dict[str, Any]] = {
            pb.FINISH_REASON_LENGTH: {"max_tokens": 5},
            pb.FINISH_REASON_STOP_TOKEN: {"stop_token_ids": {"ids": [fourth.token_id]}, "max_tokens": 6},
            pb.FINISH_REASON_STOP_TEXT: {"stop": [fourth.text], "max_tokens": 6},
        }
        for reason, fields in cases.items():
            asked = prompt | fields
            tokens, finishes = await whole(stub, generation(asked))
            assert finishes[0].finish_reason == reason
            ids = {index: [token.token_id for token in own] for index, own in tokens.items()}
            so_far = [{"index": 0, "token_ids": ids[0]}, {"index": 1, "token_ids": ids[1][:-1]}]
            rest, ends = await whole(stub, generation(asked, resume=so_far))
            assert (rest, ends) == ({0: [], 1: tokens[1][-1:]}, finishes)
            more = [{"index": 0, "token_ids": [*ids[0], 1]}]
            failed = await failure(stub.Generate(generation(asked, resume=more), timeout=PATIENCE_S).read())
            assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, "resume")
        full = {**prompt, "token_ids": {"ids": [5] * 512}}
        tokens, finishes = await whole(stub, generation(full))
        so_far = [{"index": index, "token_ids": [own[0].token_id]} for index, own in tokens.items()]
        assert await whole(stub, generation(full, resume=so_far)) == ({0: [], 1: []}, finishes)
