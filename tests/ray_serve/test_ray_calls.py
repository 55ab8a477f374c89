"""The inference server on Ray Serve answers as it does by itself: numbers, refusals, streams, cancelling, metrics."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
import torch
import transformers
from gateways import gateway_here, problem
from nexttoken.v1 import next_token_pb2 as pb
from ray_serve.cluster import APPLICATION, RayCluster, until
from servers import PATIENCE_S

from inference_server.models import bundled
from web_gateway.inference.failures import invalid_field


async def test_the_numbers_are_true(gateway: Any) -> None:
    network = transformers.AutoModelForCausalLM.from_pretrained(bundled.FOLDER, dtype="float32").eval()
    for text in ("Once upon a time", "The cat", "x" * 300):
        asked = {"text": text, "top_k": 10, "include_prompt_tokens": True}
        answer = (await gateway.web.post("/api/next-token", json=asked)).json()
        ids = [token["token_id"] for token in answer["prompt"]["tokens"]]
        with torch.inference_mode():
            probabilities = network(torch.tensor([ids])).logits[0, -1].softmax(-1)
        found = {one["token_id"]: one["probability"] for one in answer["candidates"]}
        best = probabilities.topk(10)
        assert list(found) == best.indices.tolist()
        assert list(found.values()) == pytest.approx(best.values.tolist(), abs=1e-4)


async def test_the_gateway_is_ready_and_a_wrong_name_is_told(gateway: Any, cluster: RayCluster) -> None:
    assert (await gateway.web.get("/readyz")).status_code == 200
    async with gateway_here(f"127.0.0.1:{cluster.grpc_port}", ray_application="other") as wrong:
        words = problem(await wrong.web.get("/readyz"), 503, "unavailable")
    assert "no model is ready" in words


def test_refusals_are_those_of_the_server_itself(stub: Any) -> None:
    """Code, words, field and request id, before a stream as for one answer."""
    calls: dict[str, Callable[[], Any]] = {
        "top_k: must be from 1 to 1,000, got 5,000": lambda: stub.TopK(asked(pb.TopKRequest, top_k=5000), **told("r1")),
        "max_tokens: must be from 1 to": lambda: list(
            stub.Generate(asked(pb.GenerateRequest, max_tokens=2**31 - 1), **told("r1"))
        ),
    }
    for words, call in calls.items():
        with pytest.raises(grpc.RpcError) as caught:
            call()
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details().startswith(words)
        trailers = dict(error.trailing_metadata())
        assert invalid_field(trailers["grpc-status-details-bin"]) == words.partition(":")[0]
        assert trailers["x-request-id"] == "r1"
    with pytest.raises(grpc.RpcError) as caught:
        stub.TopK(asked(pb.TopKRequest, model="none"), **told("r2"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_message_that_cannot_be_decoded_is_refused(cluster: RayCluster) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{cluster.grpc_port}") as channel:
        raw = channel.unary_unary("/nexttoken.v1.NextTokenService/TopK", bytes, bytes)
        with pytest.raises(grpc.RpcError) as caught:
            raw(b"\xff\xff", **told("r3"))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not a valid message" in error.details()


def test_a_message_larger_than_grpcs_own_limit_reaches_the_replica(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.TopK(pb.TopKRequest(text="word " * 1_000_000), **told("r4"))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(error.trailing_metadata())["x-request-id"] == "r4"


def test_every_stream_comes_through(stub: Any) -> None:
    generated = list(stub.Generate(asked(pb.GenerateRequest, max_tokens=6, seed=1), **told("s1")))
    assert [event.WhichOneof("event") for event in generated] == ["start", *["token"] * 6, "finish"]
    grown = list(stub.Grow(asked(pb.GrowRequest, depth=2, max_nodes=8), **told("s1")))
    assert [grown[0].WhichOneof("event"), grown[-1].WhichOneof("event")] == ["start", "finish"]
    felt = list(stub.Influence(asked(pb.InfluenceRequest, target=5), **told("s1")))
    assert [felt[0].WhichOneof("event"), felt[-1].WhichOneof("event")] == ["start", "done"]
    (models,) = list(stub.WatchModels(pb.WatchModelsRequest(), **told("s1")))  # and ends, so that a replica can
    assert [model.state for model in models.models] == [pb.MODEL_STATE_READY]


def test_a_caller_who_leaves_ends_the_work_within_a_step(cluster: RayCluster, stub: Any) -> None:
    taken = {}
    for number in range(40):
        name = f"leaver-{number}"
        stream = stub.Generate(asked(pb.GenerateRequest, max_tokens=200, seed=number), **told(name))
        taken[name] = 1 + number % 7
        for _ in range(taken[name]):
            next(stream)
        stream.cancel()

    def left() -> dict[str, dict[str, Any]]:
        return {call["request_id"]: call for call in cluster.calls() if call["request_id"] in taken}

    until(lambda: left().keys() == taken.keys())
    assert {call["code"] for call in left().values()} == {"CANCELLED"}
    more = [call["messages"] - taken[name] for name, call in left().items()]
    assert sorted(more)[len(more) // 2] <= 3  # what was under way; a busy machine may be late with some


async def test_the_replicas_metrics_are_at_rays_endpoint(cluster: RayCluster) -> None:
    async with httpx.AsyncClient() as web:

        async def counted() -> tuple[int, float]:
            text = (await web.get(f"http://127.0.0.1:{cluster.metrics_port}/metrics")).text
            ready = re.findall(r"^ray_nexttoken_inference_ready{.*application=\"nexttoken\".*} 1", text, re.MULTILINE)
            calls = re.findall(r"^ray_nexttoken_inference_calls_total{.*rpc=\"TopK\".*} (\S+)", text, re.MULTILINE)
            return len(ready), sum(map(float, calls))

        answered = sum(call["rpc"] == "TopK" for call in cluster.calls())
        async with asyncio.timeout(PATIENCE_S):
            while await counted() != (2, answered):  # noqa: ASYNC110
                await asyncio.sleep(0.5)


def test_what_ray_adds_to_a_call(stub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The time of a question that computes nothing, less the server's own; the goal is 10 ms."""
    times = []
    for _ in range(100):
        began = time.perf_counter()
        answer = stub.TopK(asked(pb.TopKRequest, top_k=3), **told("bench"))
        times.append((time.perf_counter() - began) * 1000 - answer.timings.total_ms)
    middle, late = sorted(times)[50], sorted(times)[95]
    with capsys.disabled():
        print(f"\nray_overhead_ms p50 {middle:.1f} p95 {late:.1f}")  # noqa: T201


def asked(kind: Any, **fields: Any) -> Any:
    return kind(text="Once upon a time there was", **fields)


def told(name: str) -> dict[str, Any]:
    """Whose question it is, and how long it may take."""
    metadata = (("application", APPLICATION), ("session_id", name), ("x-request-id", name))
    return {"metadata": metadata, "timeout": PATIENCE_S}
