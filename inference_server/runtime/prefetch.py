"""Which prompts are worth looking ahead of, and what is ready behind them. Knows neither torch nor threads."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from inference_server.sequence import Ids

H = TypeVar("H")

MOST = 16  # prompts looked ahead of at a time


@dataclass(eq=False, slots=True)
class PrefetchPlan(Generic[H]):
    """A prompt that was answered, and once looked ahead of, its likeliest next tokens and what holds them."""

    ids: Ids
    choices: Sequence[int] = ()
    held: H | None = None


class Prefetcher(Generic[H]):
    """The newest prompts that were answered. What is dropped is handed back, for its holder to let go."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Ids, PrefetchPlan[H]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._plans)

    def expect(self, ids: Ids) -> list[H]:
        """A prompt was answered: it comes first. Those it grew from or shrank to, if still to do, are abandoned."""
        for other in [plan.ids for plan in self._plans.values() if plan.held is None]:
            shorter = min(len(other), len(ids))
            if other[:shorter] == ids[:shorter]:
                del self._plans[other]
        self._plans.setdefault(ids, PrefetchPlan(ids))
        self._plans.move_to_end(ids)
        dropped = [self._plans.popitem(last=False)[1] for _ in range(len(self._plans) - MOST)]
        return [plan.held for plan in dropped if plan.held is not None]

    def next(self) -> PrefetchPlan[H] | None:
        """The newest prompt that is still to be looked ahead of."""
        return next((plan for plan in reversed(self._plans.values()) if plan.held is None), None)

    def ready(self, plan: PrefetchPlan[H], choices: Sequence[int], held: H) -> None:
        """A prompt taken off with `drop` was looked ahead of, and is now the newest."""
        plan.choices, plan.held = choices, held
        self._plans[plan.ids] = plan

    def behind(self, ids: Ids) -> H | None:
        """What holds the last token of a prompt, where it was looked ahead of."""
        plan = self._plans.get(ids[:-1])
        return plan.held if plan is not None and ids[-1] in plan.choices else None

    def drop(self, plan: PrefetchPlan[H]) -> None:
        """Gives up on a prompt that is still to do."""
        self._plans.pop(plan.ids, None)

    def clear(self) -> list[H]:
        """Drops everything."""
        held = [plan.held for plan in self._plans.values() if plan.held is not None]
        self._plans.clear()
        return held
