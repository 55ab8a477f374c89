"""The clock of the model thread: it runs while there is work and no step."""

import time

from inference_server.scheduler.watchdog import Watchdog


def runs(watchdog: Watchdog) -> bool:
    before = watchdog.still_s()
    time.sleep(0.001)
    return watchdog.still_s() > before


def test_without_work_it_stands() -> None:
    watchdog = Watchdog()
    assert watchdog.still_s() == 0.0
    assert not runs(watchdog)


def test_it_runs_from_when_work_waits_and_more_work_changes_nothing() -> None:
    watchdog = Watchdog()
    watchdog.wait()
    assert runs(watchdog)
    before = watchdog.still_s()
    watchdog.wait()
    assert watchdog.still_s() >= before


def test_a_step_starts_it_anew_and_the_last_one_stops_it() -> None:
    watchdog = Watchdog()
    watchdog.wait()
    time.sleep(0.02)
    before = watchdog.still_s()
    watchdog.begin()
    assert watchdog.still_s() < before
    watchdog.end(more=True)
    assert runs(watchdog)
    watchdog.end(more=False)
    assert not runs(watchdog)
