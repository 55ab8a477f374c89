"""The gRPC health service."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the stubs call it Any
    """Like grpcio's own, but watches can be ended, and a slow watcher blocks nobody."""

    def __init__(self) -> None:
        self._statuses: dict[str, Any] = {}
        self._watches: set[asyncio.Event] = set()
        self._ended = False

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> health_pb2.HealthCheckResponse:
        if request.service not in self._statuses:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=self._statuses[request.service])

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        changed, last = asyncio.Event(), None
        self._watches.add(changed)
        try:
            while True:
                changed.clear()
                status = self._statuses.get(request.service, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
                if status != last:
                    last = status
                    yield health_pb2.HealthCheckResponse(status=status)
                elif self._ended:
                    return
                else:
                    await changed.wait()
        finally:
            self._watches.discard(changed)

    def set_serving(self, serving: bool, *names: str) -> None:
        """Sets the status of services without waiting for watchers."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        self._statuses |= dict.fromkeys(names, status)
        self._wake()

    def end_watches(self) -> None:
        """Ends each watch after its last status; otherwise open watches would use up the grace period."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        for changed in self._watches:
            changed.set()
