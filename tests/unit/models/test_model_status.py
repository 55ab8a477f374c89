"""A model's state in words."""

import pytest

from inference_server.models.model_status import ModelState, ModelStatus


@pytest.mark.parametrize(
    ("state", "done", "total", "words"),
    [
        (ModelState.QUEUED, 0, 0, "m is queued behind another model"),
        (ModelState.DOWNLOADING, 312_400_000, 724_000_000, "m is downloading: 312 of 724 MB"),
        (ModelState.DOWNLOADING, 1, 0, "m is downloading"),
        (ModelState.LOADING, 5, 5, "m is loading"),
    ],
)
def test_the_state_with_its_progress(state: ModelState, done: int, total: int, words: str) -> None:
    assert str(ModelStatus("m", is_default=True, state=state, bytes_done=done, bytes_total=total)) == words
