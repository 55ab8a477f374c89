"""LoRA adapters on GGUF files: what an adapter adds stands beside packed weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from inference_server.cpu import dtype
from inference_server.messages import TopKQuery
from inference_server.models.adapter import AdapterFiles
from inference_server.runtime.lora import LoraLayer
from inference_server.scheduler.scheduler import Scheduler
from models import gguf_files, tokenizers
from models.test_lora import ATTENTION, IDS, load, logits, make


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
async def test_an_adapter_on_a_gguf_file_adds_to_its_packed_weights(
    tmp_path: Path,
    scheduler: Scheduler,
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
) -> None:
    """PEFT's own numbers on what gguf's dequantisation gives; the file itself answers as before beside it."""
    monkeypatch.setattr(dtype, "LEAST_ELEMENTS", 0)
    tokenizers.build("byte_bpe", tmp_path / "vocabulary")
    written = gguf_files.write(architecture, ("Q4_1", "Q4_K", "Q8_0"), tmp_path / "vocabulary", tmp_path / "base.gguf")
    written.network.save_pretrained(tmp_path / "plain")
    targets = ["embed_tokens", *ATTENTION, "down_proj"] if architecture != "gpt2" else ["c_attn", "c_proj"]
    targets += ["lm_head"] if architecture == "llama" else []
    theirs = make(tmp_path / "plain", tmp_path / "adapter", r=4, lora_alpha=8, target_modules=targets)
    expected = logits(theirs, IDS)
    with theirs.disable_adapter():
        plain = logits(theirs, IDS)
    assert float((expected.softmax(-1) - plain.softmax(-1)).abs().max()) > 0.05
    loaded = load(scheduler, {"b": written.path, "b + a": AdapterFiles(written.path, tmp_path / "adapter")})
    network = loaded["b + a"].executor.model.network
    wrapped = [part.base_layer for part in network.modules() if isinstance(part, LoraLayer)]
    assert {type(each).__name__ for each in wrapped} >= {"PackedLinear"}
    assert loaded["b + a"].executor.model.insight.contrast_refusal == ""
    for name, wanted in (("b + a", expected), ("b", plain)):
        rows: list[Tensor] = []
        loaded[name].executor.model.whole_pass.each_logits(IDS, rows.append)
        torch.testing.assert_close(torch.cat(rows), wanted, atol=1e-4, rtol=1e-4)
        for count in (5, len(IDS)):
            answer = await loaded[name].top_k(TopKQuery(token_ids=tuple(IDS[:count]), top_k=5), None)
            right = wanted[count - 1].softmax(0)
            for each in answer.candidates:
                assert each.probability == pytest.approx(float(right[each.token.token_id]), abs=1e-4)
