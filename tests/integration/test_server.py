"""The real command from its start to its end, by signal, by force, and where it can't start."""

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from functools import partial

import grpc
import pytest
from calls import failure, until_health
from grpc_health.v1 import health_pb2
from nexttoken.v1 import next_token_pb2 as pb
from ports import free_port
from servers import PATIENCE_S, ServerProcess, server_process, stub_of

from inference_server.host import openmp

started = partial(server_process, cold=True)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
PROMPTS = [[n, *range(1, 500)] for n in range(1, 25)]  # each takes a forward pass of its own


@pytest.fixture
def loaded() -> Iterator[ServerProcess]:
    """A server whose model is ready, that computes one request at a time and gives clients time to notice its end."""
    settings = {"NEXTTOKEN_GRPC_PORT": str(free_port()), "NEXTTOKEN_BATCH_SIZE": "1"}
    with started({**settings, "NEXTTOKEN_GRACE_S": str(PATIENCE_S)}) as server:
        server.wait_for("model ready", model="bundled")
        yield server


def events(server: ServerProcess) -> list[str]:
    """What was logged, in order; of calls, their name."""
    entries = [json.loads(line) for line in server.log]
    return [entry.get("rpc", entry["event"]) for entry in entries]


async def test_a_request_in_flight_outlives_sigterm(loaded: ServerProcess) -> None:
    async with grpc.aio.insecure_channel(loaded.target) as channel:
        stub = stub_of(channel)
        health = await until_health(channel, SERVING)
        calls = [stub.TopK(pb.TopKRequest(token_ids=pb.TokenIds(ids=ids)), timeout=PATIENCE_S) for ids in PROMPTS]
        await asyncio.wait([asyncio.ensure_future(call) for call in calls], return_when=asyncio.FIRST_COMPLETED)
        loaded.process.send_signal(signal.SIGTERM)
        assert (await health.read()).status == NOT_SERVING
        answers = [await call for call in calls]
        assert [answer.prompt.token_count for answer in answers] == [len(ids) for ids in PROMPTS]
    assert await asyncio.to_thread(loaded.end) == 0
    assert events(loaded).index("listening") < events(loaded).index("model ready")
    assert "TopK" in events(loaded)[events(loaded).index("stopping") :]


async def test_a_draining_server_says_so_and_still_answers() -> None:
    with started({"NEXTTOKEN_DRAIN_S": str(10 * PATIENCE_S)}) as server:
        server.wait_for("model ready", model="bundled")
        async with grpc.aio.insecure_channel(server.target) as channel:
            health = await until_health(channel, SERVING)
            server.process.send_signal(signal.SIGTERM)
            assert (await health.read()).status == NOT_SERVING
            answer = await stub_of(channel).TopK(pb.TopKRequest(text="still"), timeout=PATIENCE_S)
            assert len(answer.candidates) == 10
            health.cancel()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_still_loads_ends_at_once(number: signal.Signals) -> None:
    with started({"NEXTTOKEN_DRAIN_S": "0"}) as server:
        server.wait_for("listening")
        server.process.send_signal(number)
        assert server.end() == 0
        assert "model ready" not in events(server)
        assert not [line for line in server.log if "Traceback" in line]


async def test_a_client_gets_over_a_server_that_was_killed_and_came_back(loaded: ServerProcess) -> None:
    target = loaded.target
    async with grpc.aio.insecure_channel(target) as channel:
        stub = stub_of(channel)
        before = await stub.TopK(pb.TopKRequest(text="Once"), timeout=PATIENCE_S)
        loaded.process.kill()
        loaded.process.wait()
        failed = await failure(stub.TopK(pb.TopKRequest(text="Once"), timeout=PATIENCE_S))
        assert failed.code() is grpc.StatusCode.UNAVAILABLE
        with server_process({"NEXTTOKEN_GRPC_PORT": target.rpartition(":")[2]}) as again:
            again.wait_for("model ready", model="bundled")
            after = await stub.TopK(pb.TopKRequest(text="Once"), timeout=PATIENCE_S, wait_for_ready=True)
    assert after.candidates == before.candidates


def test_threads_that_wait_do_so_briefly() -> None:
    """The runtime reads the setting when torch brings it, long after the server's start."""
    with started({"OMP_DISPLAY_ENV": "verbose"}) as server:
        server.wait_for("model ready", model="bundled")
        assert f"GOMP_SPINCOUNT = '{openmp.SPINS}'" in "\n".join(server.log)


def test_a_port_that_is_taken_is_told_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with started({"NEXTTOKEN_GRPC_PORT": str(taken.getsockname()[1])}) as server:
            assert server.end() == 1
    assert server.log[-1].startswith("cannot start: can't listen on 127.0.0.1:")
    assert "the port is in use" in server.log[-1]
    assert "NEXTTOKEN_GRPC_PORT" in server.log[-1]


def test_two_servers_do_not_share_a_port() -> None:
    with server_process() as first:
        port = first.target.rpartition(":")[2]
        with started({"NEXTTOKEN_GRPC_PORT": port}) as second:
            assert second.end() == 1
            assert f"can't listen on 127.0.0.1:{port}" in second.log[-1]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NEXTTOKEN_GRPC_PORT", "many"), ("NEXTTOKEN_QUEUE_LIMIT", "0"), ("NEXTTOKEN_DEVICE", "tpu")],
)
def test_a_setting_that_does_not_fit_is_named(variable: str, value: str) -> None:
    with started({variable: value}) as server:
        assert server.end() == 1
    assert server.log[-1].startswith(f"cannot start: {variable}='{value}': ")
