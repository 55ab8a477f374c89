"""What callers are told goes wrong: every kind has a status code, and carries what its answer needs."""

import pytest

from inference_server import errors
from inference_server.api.calls import STATUS
from inference_server.errors import InvalidField, Overloaded, ServingError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServingError)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not ServingError])
def test_every_kind_has_a_status_code(kind: type[ServingError]) -> None:
    assert kind in STATUS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_stands_in_the_tree_of_them(kind: type[ServingError]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


def test_a_field_is_named_and_stands_in_the_message() -> None:
    error = InvalidField("top_k", "must be from 1 to 1,000")
    assert (error.field, error.fault, str(error)) == (
        "top_k",
        "must be from 1 to 1,000",
        "top_k: must be from 1 to 1,000",
    )


def test_an_overload_says_when_to_come_back() -> None:
    assert Overloaded("full", 2.5).retry_after_s == 2.5
