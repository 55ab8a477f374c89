"""Whether this server has started, and whether it can answer now, with the reason where it can't. Knows no gRPC."""

from typing import Literal

from inference_server.models.registry import ModelState, ModelStatus, Registry
from inference_server.scheduler.watchdog import Watchdog

STOPPING = "the server is stopping"


class Readiness:
    """Asked from any thread. What is ready may stop being so; what has started stays started."""

    def __init__(
        self, registry: Registry, progress: Watchdog, ready_when: Literal["any", "default"], stall_s: float
    ) -> None:
        """`stall_s`: seconds that the model thread may take for one step before it counts as stuck."""
        self._registry = registry
        self._progress = progress
        self._ready_when = ready_when
        self.stall_s = stall_s
        self._started = False
        self.stopping = False

    def not_started(self) -> str:
        """Why no model that counts has ever been ready; empty once one was."""
        if not self._started:
            counting = [model for model in self._registry.models() if self._counts(model)]
            if not any(model.state is ModelState.READY for model in counting):
                return "; ".join(_words(model) for model in counting)
            self._started = True
        return ""

    def not_ready(self) -> str:
        """Why requests can't be answered now; empty where they can."""
        if self.stopping:
            return STOPPING
        return self.not_started() or self.stalled()

    @property
    def still_s(self) -> float:
        """Seconds for which the model thread has had work and made no step."""
        return self._progress.still_s()

    def stalled(self) -> str:
        """What keeps the model thread from moving, as far as can be told; empty where it moves or has nothing to do."""
        if (still_s := self.still_s) <= self.stall_s:
            return ""
        return f"the model thread has work and has not made a step for {still_s:.0f} s"

    def _counts(self, model: ModelStatus) -> bool:
        return self._ready_when == "any" or model.is_default


def _words(model: ModelStatus) -> str:
    return f"{model}: {model.reason}" if model.reason else str(model)
