"""A gateway that is told it speaks to Ray: what it sends a proxy, and how it reads a proxy's words.

The proxy is a stand-in that speaks as Ray 2.60's does; tests/ray_serve runs the real one.
"""

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from gateways import HELLO, ScriptedService, gateway_here, problem
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

RAY_ATTEMPTS = 5
JSON = {"content-type": "application/json"}
DIED = "The actor died unexpectedly before finishing this task."
FULL = "Request dropped due to backpressure (num_queued_requests=1, max_queued_requests=1)."


class Proxy(ScriptedService):
    """Says what it is told to of itself, and remembers the metadata of each question."""

    def __init__(self) -> None:
        super().__init__()
        self.unhealthy = ""
        self.applications = ["nexttoken"]
        self.asked: list[dict[str, Any]] = []
        self.script = self.answered
        self.failures: list[tuple[StatusCode, str, tuple[tuple[str, str], ...]]] = []

    async def Healthz(self, request: Any, context: Any) -> Empty:
        if self.unhealthy:
            await context.abort(StatusCode.UNAVAILABLE, self.unhealthy)
        return Empty()

    async def ListApplications(self, request: Any, context: Any) -> FieldMask:
        return FieldMask(paths=self.applications)

    async def Info(self, request: Any, context: Any) -> pb.InfoResponse:
        return pb.InfoResponse()

    async def answered(self, request: Any, context: Any) -> Any:
        """Fails as planned, as long as there are plans."""
        self.asked.append(dict(context.invocation_metadata()))
        if self.failures:
            await context.abort(*self.failures.pop(0))
        return pb.TopKResponse(model="bundled")


@contextlib.asynccontextmanager
async def serving(proxy: Proxy) -> AsyncIterator[str]:
    server = grpc.aio.server()
    pb_grpc.add_NextTokenServiceServicer_to_server(proxy, server)  # type: ignore[no-untyped-call]  # generated
    own = {
        "Healthz": grpc.unary_unary_rpc_method_handler(
            proxy.Healthz, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
        ),
        "ListApplications": grpc.unary_unary_rpc_method_handler(
            proxy.ListApplications,
            request_deserializer=Empty.FromString,
            response_serializer=FieldMask.SerializeToString,
        ),
    }
    handler = grpc.method_handlers_generic_handler("ray.serve.RayServeAPIService", own)
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Any]:
    proxy = Proxy()
    async with serving(proxy) as target, gateway_here(target, ray_application="nexttoken") as gateway:
        yield SimpleNamespace(web=gateway.web, proxy=proxy)


@pytest.fixture
def ray(stack: Any) -> Any:
    """The stack with a healthy proxy that was asked nothing."""
    stack.proxy.unhealthy, stack.proxy.applications = "", ["nexttoken"]
    stack.proxy.asked.clear()
    stack.proxy.failures.clear()
    return stack


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_proxy_that_has_the_application_is_ready(ray: Any) -> None:
    assert (await ray.web.get("/readyz")).status_code == 200


async def test_a_proxy_that_leaves_or_lacks_the_application_is_not(ray: Any) -> None:
    ray.proxy.unhealthy = "This node is being drained."
    problem(await ray.web.get("/readyz"), 503, "unavailable")
    ray.proxy.unhealthy, ray.proxy.applications = "", ["another"]
    assert "no model is ready" in problem(await ray.web.get("/readyz"), 503, "unavailable")


async def test_a_call_says_where_it_goes_and_whose_it_is(ray: Any) -> None:
    answer = await ray.web.post(
        "/api/next-token", content=HELLO, headers={**JSON, "x-session": "s1", "x-request-id": "r1"}
    )
    assert answer.status_code == 200
    (sent,) = ray.proxy.asked
    assert sent.items() >= {"application": "nexttoken", "session_id": "s1", "x-session": "s1"}.items()
    assert sent.items() >= {"request_id": "r1", "x-request-id": "r1"}.items()


async def test_a_call_whose_replica_died_is_made_again(ray: Any) -> None:
    ray.proxy.failures = [(StatusCode.INTERNAL, DIED, ())] * (RAY_ATTEMPTS - 1)
    assert (await ray.web.post("/api/next-token", content=HELLO, headers=JSON)).status_code == 200
    assert len(ray.proxy.asked) == RAY_ATTEMPTS


async def test_a_fault_of_a_replica_is_a_fault_and_not_made_again(ray: Any) -> None:
    ray.proxy.failures = [(StatusCode.INTERNAL, "internal error", (("grpc-retry-pushback-ms", "-1"),))]
    problem(await ray.web.post("/api/next-token", content=HELLO, headers=JSON), 500, "internal")
    assert len(ray.proxy.asked) == 1


@pytest.mark.parametrize(
    ("code", "details", "status", "name"),
    [
        (StatusCode.INTERNAL, DIED, 503, "unavailable"),
        (StatusCode.NOT_FOUND, "Application 'nexttoken' not found.", 503, "unavailable"),
        (StatusCode.RESOURCE_EXHAUSTED, FULL, 429, "overloaded"),
    ],
)
async def test_a_proxys_own_words_are_not_shown(
    ray: Any, code: StatusCode, details: str, status: int, name: str
) -> None:
    ray.proxy.failures = [(code, details, ())] * RAY_ATTEMPTS
    answer = await ray.web.post("/api/next-token", content=HELLO, headers=JSON)
    assert details not in problem(answer, status, name)
    assert ("retry-after" in answer.headers) == (status == 429)
