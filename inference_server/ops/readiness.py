"""Whether the server has started and can answer, and if not, why."""

from typing import Literal

from inference_server.models.model_status import ModelState
from inference_server.models.registry import Registry
from inference_server.scheduler.watchdog import Watchdog

STOPPING = "the server is stopping"


class Readiness:
    """Thread-safe. A server that was ready may stop being ready; one that has started stays started."""

    def __init__(
        self, registry: Registry, watchdog: Watchdog, ready_when: Literal["any", "default"], stall_s: float
    ) -> None:
        """`stall_s`: how long one step may take before the model thread counts as stuck."""
        self._registry = registry
        self._watchdog = watchdog
        self._ready_when = ready_when
        self.stall_s = stall_s
        self._started = False
        self.stopping = False

    def not_started(self) -> str:
        """Why no required model has been ready yet; empty once one was."""
        if not self._started:
            required = [model for model in self._registry.models() if self._ready_when == "any" or model.is_default]
            if not any(model.state is ModelState.READY for model in required):
                return "; ".join(f"{model}: {model.reason}" if model.reason else str(model) for model in required)
            self._started = True
        return ""

    def not_ready(self) -> str:
        """Why requests can't be answered now; empty if they can."""
        if self.stopping:
            return STOPPING
        return self.not_started() or self.stalled()

    @property
    def still_s(self) -> float:
        """Seconds the model thread has had work without finishing a step."""
        return self._watchdog.still_s()

    def stalled(self) -> str:
        """Why the model thread counts as stuck; empty if it is moving or idle."""
        if (still_s := self.still_s) <= self.stall_s:
            return ""
        return f"the model thread is stuck: no step finished in {still_s:.0f} s"
