"""An independent check of layers and contributions: TransformerLens on GPT-2- and Llama-shaped models.

Needs the extra `lens`: `make lens`.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from models import architectures
from transformer_lens.model_bridge import TransformerBridge

from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.models import bundled
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.scheduler.worker import step
from inference_server.sequence import Sequence as Prompt
from inference_server.sequence import Trace

VOCABULARY = 300
IDS = [(7 + 11 * at * at) % VOCABULARY for at in range(21)]
CONTRAST = (17, 203)


def ours(folder: Path, ids: Sequence[int]) -> tuple[Trace, torch.Tensor]:
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    model = Model.build(network, torch.device("cpu"), 64, 2**22, compiled=False)
    trace = Trace(model.insight.layers + 1, CONTRAST, attention=True)
    executor = Executor("model", model, LogitsCache(2**20), 512, 60.0)
    prompt: Prompt[torch.Tensor] = Prompt(
        tuple(ids), executor, lambda _, rows: [row.clone() for row in rows], trace=trace, prefetch=False
    )
    while not prompt.done:
        step([prompt])
    return trace, torch.stack(prompt.outputs)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_transformer_lens_finds_the_same(name: str, tmp_path: Path) -> None:
    architectures.build(name, VOCABULARY, tmp_path)
    for file in bundled.FOLDER.glob("tokenizer*.json"):  # TransformerLens wants one, and uses none here
        shutil.copy(file, tmp_path)
    trace, rows = ours(tmp_path, IDS)
    network = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, dtype="float32", attn_implementation="eager"
    ).eval()
    bridge: Any = TransformerBridge.boot_transformers(str(tmp_path), hf_model=network, device="cpu")
    with torch.inference_mode():
        logits, cache = bridge.run_with_cache(torch.tensor([IDS]))
        layers = cache.logit_lens(positions=-1).readout.values
        stack, labels = cache.decompose_resid(mode="full", return_labels=True, pos_slice=-1)
        shares = cache.logit_attrs(stack, tokens=CONTRAST[0], incorrect_tokens=CONTRAST[1], pos_slice=-1)
    torch.testing.assert_close(rows[-1].softmax(0), logits[0, -1].softmax(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(rows.softmax(-1), layers.reshape(rows.shape).softmax(-1), atol=1e-4, rtol=0)
    wanted = dict(zip(labels, shares.flatten().tolist(), strict=True))
    words = {"attention": "attn_out", "mlp": "mlp_out"}
    found = {f"{layer - 1}_{words[part]}": share for layer, part, share in trace.contributions if part in words}
    assert found == pytest.approx({label: wanted[label] for label in found}, abs=1e-4)
    embedding = sum(wanted[label] for label in ("embed", "pos_embed") if label in wanted)
    assert trace.contributions[0][2] == pytest.approx(embedding, abs=1e-4)
    for block, weights in enumerate(trace.weights):
        pattern = cache[f"blocks.{block}.attn.hook_pattern"][0, :, -1]
        torch.testing.assert_close(torch.tensor(weights), pattern, atol=1e-5, rtol=0)
