"""Steps of fixed shapes: which shape a batch takes, what padding may touch, and what happens where none is recorded.

That their numbers are right on every path is test_runner_truth's; here are their edges.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import structlog
import torch
from torch import Tensor

from inference_server.attention.batch import Batch, Segment
from inference_server.gpu import graph_runner
from inference_server.gpu.cuda_graph import Work, free_bytes, repeated
from inference_server.gpu.graph_runner import BLOCKS, PREPARED, GraphRunner
from inference_server.kvcache.block_pool import CacheFull
from inference_server.kvcache.radix_cache import BlockTable
from inference_server.runtime import capability, meta_kernels
from inference_server.runtime.capability import build_runner
from inference_server.runtime.model_runner import ModelRunner
from models.shapes import PAGED, VOCABULARY, build

Known = tuple[ModelRunner, Callable[[Sequence[int]], Tensor]]
"""A runner, and the probabilities after a prompt as plain transformers gives them."""

CACHE_BYTES = 1 << 20
PROMPT = [int(token) for token in torch.randint(3, VOCABULARY, (240,), generator=torch.Generator().manual_seed(3))]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def fixed_runner(model: Any) -> ModelRunner:
    runner = build_runner(model, CACHE_BYTES, graphs=True)
    assert runner is not None
    assert runner.uses_graphs
    return runner


def step_of(runner: ModelRunner) -> GraphRunner:
    assert isinstance(runner._step, GraphRunner)
    return runner._step


def set_ragged(model: Any) -> Any:
    capability._set_paged(model)
    return model


def kept(runner: ModelRunner, prompts: Sequence[Sequence[int]]) -> list[BlockTable]:
    handles = [runner.open(prompt) for prompt in prompts]
    for handle, prompt in zip(handles, prompts, strict=True):
        if len(handle) < len(prompt):
            runner.run([Segment(handle, prompt[len(handle) :])])
    return handles


@pytest.fixture(scope="module")
def llama() -> Known:
    model = build("llama")
    plain: Any = copy.deepcopy(model)

    def last(token_ids: Sequence[int]) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = plain(torch.tensor([token_ids]), use_cache=False).logits[0, -1]
        return logits.softmax(-1)

    return fixed_runner(model), last


def test_what_is_recorded_at_load(llama: Known) -> None:
    assert step_of(llama[0]).shapes == [(rows, BLOCKS[0]) for rows in PREPARED]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 10, 16, 17, 32, 33])
def test_any_number_of_rows(llama: Known, count: int) -> None:
    """In the next larger shape, or layer by layer; whatever other rows stood in its buffers before."""
    runner, last = llama
    prompts = [PROMPT[at : at + 1 + 3 * at % 40] for at in range(count)]
    handles = kept(runner, prompts)
    logits = runner.run([Segment(handle, [9]) for handle in handles])
    wanted = torch.stack([last([*prompt, 9]) for prompt in prompts])
    assert float((logits.softmax(-1) - wanted).abs().max()) < 1e-4
    for handle in handles:
        runner.close(handle)
    assert all(rows <= 32 for rows, _ in step_of(runner).shapes)


def test_answers_outlive_the_next_step(llama: Known) -> None:
    runner, _ = llama
    handles = kept(runner, [PROMPT[:20], PROMPT[5:30]])
    first = runner.run([Segment(handles[0], [3])])
    before = first.clone()
    runner.run([Segment(handles[1], [4])])
    assert torch.equal(first, before)


def test_padding_and_what_is_not_kept_touch_no_prompt(
    llama: Known,
) -> None:
    """Three rows in a shape of four, nothing stored: every block that a prompt could use stays as it was."""
    runner, _ = llama
    handles = kept(runner, [PROMPT[:31], PROMPT[40:57]])
    before = [tensor[: runner.pool.total].clone() for tensor in (*runner.store.keys, *runner.store.values)]
    runner.run([Segment(handles[0], [3, 4], alternatives=True), Segment(handles[1], [5], alternatives=True)])
    after = [tensor[: runner.pool.total] for tensor in (*runner.store.keys, *runner.store.values)]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_all_pages_but_the_spare_ones_hold_prompts() -> None:
    """The bound in bytes includes the spare blocks, and a full store is as right as an empty one."""
    model = build("llama")
    plain: Any = copy.deepcopy(model)
    runner = fixed_runner(model)
    spare = graph_runner.spare_blocks(16)
    assert (runner.pool.total + spare) * runner.store.block_bytes <= CACHE_BYTES
    assert len(runner.store.keys[0]) == runner.pool.total + spare
    layout = capability._layout(model, PROMPT[:20], 16)
    runner = ModelRunner(model, layout, (6 + spare) * runner.store.block_bytes, graphs=True)
    handles = kept(runner, [PROMPT[:47], PROMPT[50:97]])
    logits = runner.run([Segment(handle, [8]) for handle in handles])
    with torch.inference_mode():
        for row, start in zip(logits, (0, 50), strict=True):
            wanted = plain(torch.tensor([[*PROMPT[start : start + 47], 8]]), use_cache=False).logits[0, -1]
            torch.testing.assert_close(row, wanted, atol=1e-4, rtol=1e-4)
    with pytest.raises(CacheFull):
        runner.run([Segment(handles[0], [8])])


def test_longer_prompts_take_more_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_runner, "BLOCKS", (2, 8))
    model = build("qwen2")
    plain: Any = copy.deepcopy(model)
    runner = fixed_runner(model)
    for length in (31, 32, 33, 100, 128, 129, 200, 20):
        (handle,) = kept(runner, [PROMPT[:length]])
        row = runner.run([Segment(handle, [8])])[0]
        with torch.inference_mode():
            wanted = plain(torch.tensor([[*PROMPT[:length], 8]]), use_cache=False).logits[0, -1]
        torch.testing.assert_close(row, wanted, atol=1e-4, rtol=1e-4)
        runner.close(handle)
    assert {blocks for _, blocks in step_of(runner).shapes} == {2, 8}


def test_shapes_that_would_gather_too_much_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("llama")
    runner = fixed_runner(model)
    handles = kept(runner, [PROMPT[:20], PROMPT[5:30], PROMPT[9:12]])
    monkeypatch.setattr(graph_runner, "MOST_BYTES", 2 * (BLOCKS[0] + 1) * runner.store.layer_bytes)
    segments = [Segment(handle, [9], alternatives=True) for handle in handles]
    fits = [step_of(runner).fits(Batch(segments[:count], 16)) for count in (1, 2, 3)]
    assert fits == [True, True, False]
    assert len(runner.run(segments)) == 3


def unrecordable(work: Work) -> Work:
    raise RuntimeError("operation not permitted when stream is capturing")


def forgetful(work: Work) -> Work:
    """What a recording is that took numbers of its inputs for constants."""
    output = work().clone()
    return lambda: output


@pytest.mark.parametrize("record", [unrecordable, forgetful])
def test_what_cannot_be_recorded_runs_layer_by_layer(record: Callable[[Work], Work], llama: Known) -> None:
    runner = fixed_runner(build("llama"))
    step = step_of(runner)
    step._record, step._ready = record, {}
    (handle,) = kept(runner, [PROMPT[:20]])
    with structlog.testing.capture_logs() as logs:
        logits = [runner.run([Segment(handle, [9], alternatives=True)]) for _ in range(3)]
    assert [line["event"] for line in logs] == ["step not captured, running layer by layer"], "told once"
    assert (logs[0]["rows"], logs[0]["blocks"]) == (1, BLOCKS[0])
    for each in logits:
        torch.testing.assert_close(each[0].softmax(-1), llama[1]([*PROMPT[:20], 9]), atol=1e-4, rtol=0)


def test_no_more_is_recorded_than_memory_allows() -> None:
    """The shapes that fit beside what is spared are, one after the other; a larger one, and its successors, run on."""
    runner = fixed_runner(build("llama"))
    step = step_of(runner)
    left, asked = [graph_runner.SPARED_BYTES + 2 * step._bytes((4, BLOCKS[0]))], list[int]()

    def recording(work: Work) -> Work:
        left[0] -= step._bytes((2, BLOCKS[0]))
        return repeated(work)

    def free() -> int:
        asked.append(left[0])
        return left[0]

    step._record, step._free, step._ready = recording, free, {}
    with structlog.testing.capture_logs() as logs:
        runner.prepare()
    assert step.shapes == [(1, BLOCKS[0]), (2, BLOCKS[0]), (4, BLOCKS[0])]
    assert [(line["event"], line["rows"]) for line in logs] == [
        ("step not captured, running layer by layer", rows) for rows in (8, 16)
    ]
    assert all("MiB are free" in line["reason"] for line in logs)
    count = len(asked)
    handles = kept(runner, [PROMPT[at : at + 9] for at in range(5)])
    segments = [Segment(handle, [9], alternatives=True) for handle in handles]
    assert len(runner.run(segments)) == 5
    assert len(runner.run(segments[:3])) == 3
    assert len(asked) == count, "a shape is refused once"


def test_recordings_on_a_cpu_take_what_they_like() -> None:
    assert free_bytes(torch.device("cpu")) is None


def test_repeated_work_gives_one_tensor_anew() -> None:
    given = torch.zeros(3)
    again = repeated(lambda: given + 1)
    first = again()
    given += 5
    assert again() is first
    assert torch.equal(first, torch.full((3,), 6.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", PAGED)
def test_sixteen_bits_are_as_true_as_the_models_own_pass(name: str, dtype: torch.dtype) -> None:
    """Where arithmetic has 16 bits: nearly as close to float32 as plain transformers in the same bits."""
    model: Any = build(name)
    exact: Any = copy.deepcopy(model).to(dtype).float()
    own: Any = copy.deepcopy(model).to(dtype)
    runner = fixed_runner(model.to(dtype))
    (handle,) = kept(runner, [PROMPT[:40]])
    choices = range(5, 15)
    rows = runner.run([Segment(handle, choices, alternatives=True)]).softmax(-1)
    with torch.inference_mode():
        ids = torch.tensor([[*PROMPT[:40], choice] for choice in choices])
        theirs, wanted = (each(ids, use_cache=False).logits[:, -1].float() for each in (own, exact))
    step = torch.finfo(dtype).eps * float(wanted.abs().max())
    error, allowed = (float((each - wanted.softmax(-1)).abs().mean()) for each in (rows, theirs.softmax(-1)))
    assert error <= 2 * allowed + step / 10
    assert float((rows - theirs.softmax(-1)).abs().max()) <= step


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("name", PAGED)
def test_everything_is_where_the_model_computes(name: str, fixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that is no CPU: torch's own one without numbers, which refuses tensors of another and any look at
    what was computed. So nothing in a pass waits for the device, as a recorded step must not."""
    meta_kernels.register()
    model: Any = build(name).bfloat16()
    layout = capability._layout(set_ragged(model), PROMPT[:20], 16)
    model.config.pad_token_id = None  # GPT-2 looks whether a prompt is padded, though not while it is recorded
    monkeypatch.setattr(graph_runner, "_difference", lambda wanted, found: 0.0)
    runner = ModelRunner(model.to("meta"), layout, CACHE_BYTES, graphs=fixed)
    handle, other = runner.open(PROMPT[:20]), runner.open([4])
    runs = [
        [Segment(handle, PROMPT[:20]), Segment(other, [4])],
        [Segment(handle, PROMPT[20:37], every_row=True), Segment(other, [4, 5], alternatives=True, keep=True)],
        [Segment(handle, [7]), Segment(other, [5])],
        [Segment(handle, range(10), alternatives=True, keep=True)],
    ]
    for segments in runs:
        logits = runner.compute(segments)
        runner.settle(segments, [False] * len(segments))
        assert logits.device.type == "meta"
        assert logits.shape == (sum(segment.rows for segment in segments), VOCABULARY)
    assert runner.adopt(handle, 3) is not None
    assert not fixed or step_of(runner).shapes == [(2, BLOCKS[0]), (16, BLOCKS[0])]
