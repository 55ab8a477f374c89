"""What visitors met: how long answers took, and how many requests had none."""

from collections import Counter
from dataclasses import dataclass, field

from capacity.load import Kind


@dataclass
class Outcome:
    """Of one simulation, or of one measured run."""

    seconds: float = 0.0
    """How long requests were counted."""
    asked: int = 0
    """Requests begun in that time, those repeated after a refusal among them."""
    answers: list[tuple[Kind, float]] = field(default_factory=list)
    """Each answered request and its seconds."""
    refused: Counter[str] = field(default_factory=Counter)
    """By reason."""
    hits: int = 0
    """Clicks answered from prefetched logits."""
    busy: dict[str, float] = field(default_factory=dict)
    """Share of the time that each worker and each gateway was busy."""

    @property
    def open(self) -> int:
        """Requests under way at the end."""
        return self.asked - len(self.answers) - self.refused.total()

    @property
    def refused_share(self) -> float:
        return self.refused.total() / max(1, self.asked)

    @property
    def hit_share(self) -> float:
        clicks = sum(kind == "click" for kind, _ in self.answers)
        return self.hits / max(1, clicks)

    def percentile_ms(self, share: float, *kinds: Kind) -> float:
        """Milliseconds below which this share of the answers lies; of some kinds, or of all."""
        taken = sorted(seconds for kind, seconds in self.answers if not kinds or kind in kinds)
        if not taken:
            return float("inf") if self.asked else 0.0
        return 1e3 * taken[min(len(taken) - 1, int(share * len(taken)))]
