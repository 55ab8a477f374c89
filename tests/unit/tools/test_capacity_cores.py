"""Cores shared by threads: exact where few run, and as queueing theory says where many come at random."""

import math
import random
from typing import Any

import pytest
import simpy
from capacity.cores import Cores


def ends(count: float, jobs: list[tuple[float, float, int]]) -> list[float]:
    """When jobs of (start, seconds, threads) end."""
    env = simpy.Environment()
    cores, found = Cores(env, count), dict[int, float]()

    def job(number: int, start: float, seconds: float, threads: int) -> Any:
        yield env.timeout(start)
        yield cores.run(seconds, threads)
        found[number] = env.now

    for number, each in enumerate(jobs):
        env.process(job(number, *each))
    env.run()
    assert cores.busy_s == pytest.approx(sum(seconds * threads for _, seconds, threads in jobs))
    return [found[number] for number in range(len(jobs))]


@pytest.mark.parametrize(
    ("count", "jobs", "expected"),
    [
        (2, [(0, 1, 1), (0, 1, 1)], [1, 1]),
        (1, [(0, 1, 1), (0, 1, 1)], [2, 2]),
        (1, [(0, 2, 1), (1, 0.5, 1)], [2.5, 2]),
        (2, [(0, 1, 2), (0, 0.5, 1)], [1.25, 0.75]),
        (2, [(0, 1, 2), (3, 1, 2)], [1, 4]),
    ],
)
def test_more_threads_than_cores_are_slowed_down_alike(
    count: float, jobs: list[tuple[float, float, int]], expected: list[float]
) -> None:
    assert ends(count, jobs) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "load"), [(1, 0.6), (3, 0.8)])
def test_the_mean_is_that_of_a_queue_with_so_many_servers(count: int, load: float) -> None:
    """Processor sharing of exponential jobs and a line before c servers have the same number of jobs: Erlang's C."""
    env, chance = simpy.Environment(), random.Random(3)
    cores, taken = Cores(env, count), list[float]()

    def job() -> Any:
        began = env.now
        yield cores.run(chance.expovariate(1))
        taken.append(env.now - began)

    def arrive() -> Any:
        for _ in range(30_000):
            yield env.timeout(chance.expovariate(count * load))
            env.process(job())

    env.process(arrive())
    env.run()
    offered = count * load
    waiting = offered**count / math.factorial(count) / (1 - load)
    waits = waiting / (sum(offered**at / math.factorial(at) for at in range(count)) + waiting)
    assert sum(taken) / len(taken) == pytest.approx(1 + waits / (count - offered), rel=0.06)
