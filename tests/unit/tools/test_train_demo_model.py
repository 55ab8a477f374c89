"""The training script: stories are split honestly, a run stops, goes on and exports what the server can load."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from train_demo_model import corpus, train

NAMES = ("Tom", "Lily", "Ben", "Anna", "Max")
ANIMALS = ("dog", "cat", "bird", "frog")


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    """A corpus of 40 stories, the last 5 of them recognisable."""
    texts = [f"{NAMES[i % 5]} had a {ANIMALS[i % 4]}. " + f"It ran {i} times. " * 30 for i in range(35)]
    texts += [f"Held out story number {i}. " + "The end. " * 60 for i in range(5)]
    path = tmp_path / "stories.txt"
    path.write_text(f"\n{corpus.SEPARATOR}\n".join(texts), encoding="utf-8")
    return path


def test_held_out_stories_are_the_last_and_are_never_trained_on(stories: Path) -> None:
    training, held_out = corpus.split(corpus.read_stories(stories), 5)
    assert len(training) == 35
    assert [story.split(". ")[0] + "." for story in held_out] == [f"Held out story number {i}." for i in range(5)]
    with pytest.raises(ValueError, match="more than 40 are needed"):
        corpus.split(training + held_out, 40)


def test_a_corpus_shorter_than_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than one batch of 2 windows of 16 tokens"):
        next(corpus.batches([np.zeros(31, dtype=np.uint16)], 16, 2, seed=0))


def test_skipped_batches_go_on_where_a_run_stopped() -> None:
    rng = np.random.default_rng(0)
    tokens = [rng.integers(0, 4096, 70).astype(np.uint16) for _ in range(20)]
    whole = corpus.batches(tokens, 16, 4, seed=3)
    seen = [next(whole) for _ in range(60)]
    resumed = corpus.batches(tokens, 16, 4, seed=3, skip=45)
    assert all(np.array_equal(next(resumed), batch) for batch in seen[45:])


def test_the_rate_warms_up_holds_and_falls_to_zero() -> None:
    assert [train.rate_at(x) for x in (0.0, 0.01, 0.02, 0.4, 0.75, 1.0)] == pytest.approx([0, 0.5, 1, 1, 0.5, 0])


def test_a_run_stops_goes_on_and_exports_a_model(stories: Path, tmp_path: Path) -> None:
    def run(minutes: float) -> None:
        work, folder = str(tmp_path / "work"), str(tmp_path / "model")
        options = ["--batch", "1", "--layers", "1", "--held-out", "5", "--minutes", str(minutes), "--device", "cpu"]
        train.main([str(stories), "--work", work, "--folder", folder, *options])

    def facts() -> dict[str, object]:
        return dict(json.loads((tmp_path / "model" / "training.json").read_text()))

    run(0.001 / 60)
    first = facts()
    assert isinstance(first["steps"], int)
    assert first["steps"] == 1
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    spent_s = torch.load(tmp_path / "work" / "state.pt", weights_only=True)["progress"]["seconds"]
    run((spent_s + 0.001) / 60)
    second = facts()
    assert isinstance(second["steps"], int)
    assert second["steps"] == first["steps"] + 1
    assert second["held_out_stories"] == 5
