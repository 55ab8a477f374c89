"""Turns of clients on the event loop: who has many connections waits for itself and not others for it."""

import asyncio
from functools import partial
from typing import Any

from web_gateway.http.turns import Turns


async def test_a_client_without_a_turn_in_this_iteration_has_it_at_once() -> None:
    turns, done = Turns(), list[str]()
    turns.take("a", lambda: done.append("a"))
    turns.take("b", lambda: done.append("b"))
    assert done == ["a", "b"]


async def test_further_work_waits_for_one_iteration_each() -> None:
    turns, done = Turns(), list[int]()
    for number in range(4):
        turns.take("a", partial(done.append, number))
    for iterations in range(1, 5):
        assert done == list(range(iterations))
        await asyncio.sleep(0)


async def test_who_comes_while_another_has_much_waiting_is_not_behind_it() -> None:
    turns, done = Turns(), list[str]()
    for number in range(300):
        turns.take("many", partial(done.append, f"many {number}"))
    await asyncio.sleep(0)
    turns.take("one", lambda: done.append("one"))
    assert done == ["many 0", "many 1", "one"]


async def test_work_that_takes_another_turn_lets_others_go_first() -> None:
    turns, done = Turns(), list[str]()

    def again(left: int) -> None:
        done.append("again")
        if left:
            turns.take("a", lambda: again(left - 1))

    turns.take("a", lambda: again(2))
    turns.take("a", lambda: done.append("other"))
    for _ in range(4):
        await asyncio.sleep(0)
    assert done == ["again", "again", "other", "again"]


async def test_a_proxy_speaks_for_many_and_never_waits() -> None:
    turns, done = Turns(), list[int]()
    for number in range(3):
        turns.take(None, partial(done.append, number))
    assert done == [0, 1, 2]


async def test_work_that_fails_is_reported_and_takes_nobody_s_turn() -> None:
    turns, done, reported = Turns(), list[str](), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))

    def fail() -> None:
        raise ValueError("broken")

    for client in ("a", "b"):
        turns.take(client, lambda: None)
    turns.take("a", fail)
    turns.take("b", lambda: done.append("b"))
    turns.take("a", lambda: done.append("a"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert done == ["b", "a"]
    (words,) = (each["message"] for each in reported)
    assert "a connection's turn failed" in words
