"""What an RPC is made for: its request id, its deadline, and the client behind it."""

import time
from dataclasses import dataclass, replace

from service_kit.logs import request_id


@dataclass(frozen=True, slots=True)
class Call:
    """The context of one RPC: request id, deadline on the time.monotonic() clock, and the client.

    The inference server schedules fairly between sessions, or between addresses where no session is given.
    """

    request_id: str
    deadline: float | None
    session: str | None = None
    address: str | None = None

    @classmethod
    def without_deadline(cls) -> "Call":
        """A call that the gateway makes for itself."""
        return cls(request_id(None), None)

    def lasting(self, seconds: float) -> "Call":
        """The same for a streaming RPC, which may take so long from now."""
        return replace(self, deadline=time.monotonic() + seconds)

    def remaining_s(self) -> float | None:
        """Seconds until the deadline, at least 0; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
