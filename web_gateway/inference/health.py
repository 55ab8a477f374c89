"""Whether an inference server can answer, by its own account: the gRPC health service's, or that of Ray's proxies."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from grpc_health.v1 import health_pb2, health_pb2_grpc

from web_gateway.inference.calls import answer_of

RAY = "/ray.serve.RayServeAPIService/"


class Health:
    """grpc.health.v1."""

    def __init__(self, channel: Any) -> None:
        self.stub: Any = health_pb2_grpc.HealthStub(channel)

    async def serving(self, **options: Any) -> bool:
        """Raises AioRpcError if nothing answers."""
        answer = await answer_of(self.stub.Check(health_pb2.HealthCheckRequest(), **options))
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


class RayHealth:
    """Ray has a service of its own. Its messages have the form of these two: none, and a list of names as field 1."""

    def __init__(self, channel: Any, application: str) -> None:
        self._application = application
        self._health = channel.unary_unary(f"{RAY}Healthz", Empty.SerializeToString, Empty.FromString)
        self._list = channel.unary_unary(f"{RAY}ListApplications", Empty.SerializeToString, FieldMask.FromString)

    async def serving(self, **options: Any) -> bool:
        """Whether the proxy takes calls and knows the application; its replicas take calls once their model is ready.

        Raises AioRpcError if nothing answers, or if the proxy is starting or leaving.
        """
        await answer_of(self._health(Empty(), **options))
        return self._application in (await answer_of(self._list(Empty(), **options))).paths
