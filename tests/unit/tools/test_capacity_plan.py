"""Plans, and the tables of docs/operations.md made of them."""

import itertools

import pytest
from capacity.limits import limits
from capacity.load import Load
from capacity.plan import CELL, ROOM, Planner, Target, Unmet, hottest, largest
from capacity.table import PAGE, written
from capacity_profiles import PLAIN


def test_the_page_has_what_the_tool_prints() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run: python -m capacity --write"


def test_a_search_ends_near_the_bound() -> None:
    for guess in (0.01, 1.0, 90.0):
        assert 7 / 1.13 <= largest(guess, lambda value: value <= 7) <= 7


def test_a_target_that_no_load_meets_is_refused() -> None:
    with pytest.raises(Unmet):
        largest(1.0, lambda value: False)


@pytest.fixture(scope="module")
def planner() -> Planner:
    planner = Planner(PLAIN, Load())
    planner.capacity = 0.4  # as if searched
    return planner


def test_more_visits_take_more_machines_each(planner: Planner) -> None:
    plans = [planner.plan(visits) for visits in (2_000, 50_000, 500_000)]
    for fewer, more in itertools.pairwise(plans):
        assert more.replicas > fewer.replicas
        assert more.gateways >= fewer.gateways
        assert more.cost < fewer.cost  # small deployments are mostly idle
    for plan in plans:
        of_one = plan.replicas // plan.deployments
        assert of_one <= CELL
        assert plan.load.visits_per_s / plan.deployments * hottest(of_one) <= ROOM * planner.capacity
    assert [plan.deployments > 1 for plan in plans] == [False, False, True]


def test_limits_are_in_the_order_in_which_they_are_reached(planner: Planner) -> None:
    reached = [limit.visits_per_day for limit in limits(planner)]
    assert reached == sorted(reached)
    assert reached[0] > 0


def test_a_target_that_is_missed_in_one_way_is_missed() -> None:
    planner = Planner(PLAIN, Load(), Target(p95_ms=1e6))
    crowded = planner.simulate(1, 3.0)
    assert crowded.refused_share > 0.001
    assert not planner.target.met(crowded)
