"""What an adapter adds, to the head too, is part of what contributions tell."""

from pathlib import Path

import pytest

from inference_server.cpu import dtype
from inference_server.models.adapter import AdapterFiles
from inference_server.scheduler.scheduler import Scheduler
from models import architectures, tokenizers
from models.test_lens import Small
from models.test_lora import IDS, VARIANTS, halves, load, logits, make


@pytest.mark.parametrize("variant", ["plain", "embedding and head"])
@pytest.mark.parametrize("halved", [False, True], ids=["float32", "16 bits"])
def test_shares_sum_to_the_difference_that_peft_computes(
    tmp_path: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, variant: str, halved: bool
) -> None:
    architecture, options = VARIANTS[variant]
    folder, adapter, (first, second) = tmp_path / "base", tmp_path / "adapter", (2, 9)
    tokenizers.build("byte_bpe", folder)
    architectures.build(architecture, 800, folder)
    if halved:
        monkeypatch.setattr(dtype, "LEAST_ELEMENTS", 1)
        folder = halves(folder, tmp_path)
    theirs = make(folder, adapter, **options)
    executor = load(scheduler, {"b + a": AdapterFiles(folder, adapter)})["b + a"].executor
    assert executor.model.insight.contrast_refusal == ""
    trace, _, _ = Small(executor, theirs, folder).trace(IDS, contrast=(first, second))
    last = logits(theirs, IDS)[-1]
    assert trace.difference == pytest.approx(float(last[first] - last[second]), abs=1e-4)
    assert sum(share for _, _, share in trace.contributions) == pytest.approx(trace.difference, abs=1e-4)
