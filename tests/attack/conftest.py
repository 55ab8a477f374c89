"""The real processes that the attacks are aimed at, shared by a run; each test watches them for itself."""

from collections.abc import Iterator

import pytest

from attack.guard import Guarded, guarded
from attack.tiers import Tiers, running


@pytest.fixture(scope="session")
def tiers() -> Iterator[Tiers]:
    """Both services as they are started by default, with the bundled model."""
    with running() as both:
        yield both


@pytest.fixture
def watched(tiers: Tiers) -> Iterator[Guarded]:
    """The shared services under guard: a test that uses it fails where others had to suffer."""
    with guarded(tiers) as guard:
        yield guard
