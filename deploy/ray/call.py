"""One call as the service knows it, on the context that Ray's proxy sends along."""

from collections.abc import Sequence
from typing import Any

import grpc
from ray.serve._private.proxy_request_response import ResponseStatus

from inference_server.api import auth
from inference_server.api.calls import PUSHBACK_KEY
from inference_server.ops.metrics import Metrics
from service_kit import bearer
from service_kit.files import WatchedFile

Trailers = Sequence[tuple[str, str | bytes]]

LAST = ((PUSHBACK_KEY, "-1"),)  # a gateway repeats INTERNAL, which is also what a proxy says when a replica dies


class Refused(Exception):
    """The call has its status. It must not leave the replica: a proxy sends no trailers with what is raised."""


class Call:
    """What the service asks of a grpc.aio.ServicerContext."""

    def __init__(self, context: Any) -> None:
        """`context`: a RayServegRPCContext."""
        self._context = context

    def invocation_metadata(self) -> Trailers:
        metadata: Trailers = self._context.invocation_metadata()
        return metadata

    def peer(self) -> str:
        return str(self._context.peer())

    def time_remaining(self) -> float | None:
        """Unknown: the proxy cancels a call when its time is up."""
        return None

    def set_trailing_metadata(self, trailers: Trailers) -> None:
        self._context.set_trailing_metadata(list(trailers))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailers: Trailers = ()) -> None:
        """Sets the status. Raises Refused."""
        self._context.set_code(code)
        self._context.set_details(details)
        self.set_trailing_metadata((*trailers, *(LAST if code is grpc.StatusCode.INTERNAL else ())))
        raise Refused


class Status:
    """The last element of a refused stream.

    A proxy takes a stream's code, details and trailers from the context that comes with each message, so they need one.
    This one becomes a status of the proxy's own, which is not sent as a message.
    """

    def __init__(self, context: Any) -> None:
        self._status = ResponseStatus(code=context.code(), is_error=True, message=context.details())

    def SerializeToString(self) -> ResponseStatus:
        return self._status


async def checked(call: Call, secrets: WatchedFile[bearer.Secrets] | None, metrics: Metrics) -> None:
    """Refuses a call without a valid token where one is required."""
    if secrets is None:
        return
    header = dict(call.invocation_metadata()).get(bearer.HEADER)
    secrets.renewed()
    if header is None or not bearer.accepts(secrets.value, str(header)):
        metrics.count_unauthenticated()
        await auth.reject(auth.MISSING if header is None else auth.WRONG, call)
