"""A pass that others end early: whole layers only, nothing lost but itself."""

import pytest
import torch
from models.shapes import build

from inference_server.attention.batch import Segment
from inference_server.cpu.weight_only_linear import replace_linears
from inference_server.interruption import Interrupted, Interruption
from inference_server.runtime.capability import build_runner
from inference_server.runtime.model_runner import ModelRunner

IDS = tuple(range(5, 35))


def test_it_is_asked_for_until_cleared() -> None:
    interruption = Interruption()
    interruption.check()
    interruption.ask()
    with pytest.raises(Interrupted):
        interruption.check()
    interruption.settle()  # no compiled pass has ended
    interruption.clear()
    interruption.check()


@pytest.fixture(params=["llama", "gpt2"])
def runner(request: pytest.FixtureRequest) -> ModelRunner:
    """One whose short batches take the compiled pass, and one without any."""
    model = build(request.param)
    replace_linears(model)
    made = build_runner(model, 1 << 24)
    assert made is not None
    assert made.fused == (request.param == "llama")
    return made


@pytest.mark.parametrize("count", [1, 20])
def test_a_pass_ends_early_and_can_be_done_again(runner: ModelRunner, count: int) -> None:
    interruption = Interruption()

    def compute(ids: tuple[int, ...]) -> torch.Tensor:
        table = runner.open(ids)
        try:
            assert len(table) == 0, "nothing of it is cached"
            return runner.run([Segment(table, ids)], interruption)
        finally:
            runner.close(table)

    wanted = compute(IDS[:count])
    runner.tree.clear()
    interruption.ask()
    with pytest.raises(Interrupted):
        compute(IDS[:count])
    assert runner.pool.used == 0
    interruption.clear()
    torch.testing.assert_close(compute(IDS[:count]), wanted)
