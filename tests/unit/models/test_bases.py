"""Bases of adapters are read once, and kept only while something uses them."""

import pytest

from inference_server.models.bases import Bases


def test_a_base_is_read_once_for_itself_and_its_adapters() -> None:
    bases, reads = Bases(["b + one", "b", "b + two", "other"]), list[str]()
    for _ in range(3):
        bases.get("b", lambda: reads.append("b"))
        bases.settle("b", loaded=True)
    assert reads == ["b"]
    assert (bases.shares("b"), bases.shares("other")) == (True, False)


def test_a_model_without_adapters_is_not_kept() -> None:
    bases, reads = Bases(["b"]), list[str]()
    for _ in range(2):
        bases.get("b", lambda: reads.append("b"))
        bases.settle("b", loaded=True)
    assert reads == ["b", "b"]


def test_a_base_that_nothing_could_use_is_let_go() -> None:
    bases, reads = Bases(["b + broken"]), list[str]()
    for _ in range(2):
        bases.get("b", lambda: reads.append("b"))
        bases.settle("b", loaded=False)
    assert reads == ["b", "b"]


def test_a_base_in_use_outlives_an_adapter_that_failed() -> None:
    bases, reads = Bases(["b", "b + broken"]), list[str]()
    for loaded in (True, False, True):
        bases.get("b", lambda: reads.append("b"))
        bases.settle("b", loaded=loaded)
    assert reads == ["b"]


def test_a_base_that_can_t_be_read_fails_each_time() -> None:
    bases = Bases(["b + a"])

    def read() -> None:
        raise LookupError("gone")

    for _ in range(2):
        with pytest.raises(LookupError, match="gone"):
            bases.get("b", read)


def test_an_impossible_name_is_left_to_its_own_turn() -> None:
    assert not Bases(["b + a + c"]).shares("b")
