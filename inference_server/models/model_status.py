"""What is known of a model of the server, loaded or not."""

from dataclasses import dataclass
from enum import Enum

from inference_server.messages import ModelFacts


class ModelState(Enum):
    """The value completes the sentence 'MODEL is ...'."""

    QUEUED = "queued behind another model"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Byte counts are 0 unless DOWNLOADING, the reason is empty unless FAILED."""

    name: str
    is_default: bool
    state: ModelState = ModelState.QUEUED
    bytes_done: int = 0
    bytes_total: int = 0
    reason: str = ""
    facts: ModelFacts | None = None

    def __str__(self) -> str:
        """The state with its progress."""
        text = f"{self.name} is {self.state.value}"
        if self.state is ModelState.DOWNLOADING and self.bytes_total:
            text += f": {self.bytes_done / 1e6:.0f} of {self.bytes_total / 1e6:.0f} MB"
        return text
