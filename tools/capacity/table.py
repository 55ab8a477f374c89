"""The capacity plan as tables of docs/operations.md."""

from collections.abc import Sequence
from pathlib import Path

from capacity.limits import Limit, limits
from capacity.load import Load
from capacity.plan import Plan, Planner
from capacity.profile import PROFILES, Profile, read

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN, END = "<!-- capacity -->", "<!-- /capacity -->"
HEAD = (
    "daily visits",
    "requests/s at peak",
    "deployments",
    "replicas",
    "gateways",
    "p50, p95, p99 ms of clicks",
    "refused",
    "$ per million requests",
)
STEPS = (1_000, 100_000, 10_000_000)


def tables(planner: Planner, steps: Sequence[int] = STEPS) -> str:
    """What each number of daily visits takes, then the limits on the way."""
    ahead = limits(planner)
    plans = [planner.plan(visits) for visits in steps]
    return "\n".join(
        [
            heading(planner.profile),
            "",
            *_rows(HEAD, [_row(plan) for plan in plans]),
            "",
            *_rows(
                ("on the way to", "breaks, in this order", "at daily visits", "answer"),
                [row for low, high in zip((0, *steps[:-1]), steps, strict=True) for row in _between(ahead, low, high)],
            ),
        ]
    )


def heading(profile: Profile) -> str:
    """Which machine, and whether its figures were measured."""
    kind = "measured" if profile.measured else "**assumed, not measured**"
    return f"*{profile.name}* ({kind}: {profile.source})"


def written(page: str) -> str:
    """The page with the tables of all committed profiles, as they should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [tables(Planner(read(path), Load())) for path in sorted(PROFILES.glob("*.json"))]
    return "\n\n".join([f"{before}{BEGIN}", *parts, f"{END}{after}"])


def _row(plan: Plan) -> Sequence[str]:
    outcome = plan.outcome
    waits = ", ".join(_number(outcome.percentile_ms(share, "click")) for share in (0.5, 0.95, 0.99))
    return (
        _number(plan.load.visits_per_day),
        _number(plan.load.requests_per_s),
        f"{plan.deployments:,}",
        f"{plan.replicas:,}",
        f"{plan.gateways:,}",
        waits,
        f"{outcome.refused_share:.2%}",
        _number(plan.cost),
    )


def _between(ahead: list[Limit], low: float, high: float) -> list[Sequence[str]]:
    """The limits that are reached on the way from one number of visits to another."""
    found = [limit for limit in ahead if low < limit.visits_per_day <= high]
    rows = [(_number(high), limit.what, _number(limit.visits_per_day), limit.answer) for limit in found]
    return list(rows) or [(_number(high), "nothing", "-", "-")]


def _number(value: float) -> str:
    """To two digits."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]
