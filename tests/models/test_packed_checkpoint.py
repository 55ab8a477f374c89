"""bitsandbytes, GPTQ and AWQ: packed here as those write them, read as the numbers they stand for, or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from torch import Tensor

from inference_server.errors import LoadFailed
from inference_server.host import memory
from inference_server.runtime.model import Model
from inference_server.runtime.network import Network
from models import quantised
from models.packing import AWQ4, BNB4, GPTQ4, KINDS, STATE, WIDENED, awq, eight_bits, four_bits, gptq
from models.quantised import Pack, Tensors

IDS = [5, 6, 7, 11]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantised.plain(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("kind", [*KINDS, *WIDENED])
def test_it_answers_with_the_numbers_that_the_files_stand_for(plain: Path, tmp_path: Path, kind: str) -> None:
    pack, described, named = (KINDS | WIDENED)[kind]
    network = quantised.write(plain, tmp_path / "packed", pack, described)
    loaded = Model.load(tmp_path / "packed", "cpu", 1 << 20)
    with torch.inference_mode():
        expected = network(torch.tensor([IDS])).logits[0, -1]
    torch.testing.assert_close(loaded.whole_pass.last_logits(IDS), expected, atol=1e-5, rtol=1e-5)
    assert loaded.runner is not None
    assert (loaded.facts.format, loaded.facts.dtype) == (named, "float32")


def test_as_much_memory_is_asked_for_as_the_numbers_take(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = quantised.write(plain, tmp_path / "packed", gptq(), GPTQ4)
    needed = 4 * sum(each.numel() for each in network.parameters())
    monkeypatch.setattr(memory, "available", lambda: needed - 1)
    with pytest.raises(LoadFailed, match=r"^out of memory"):
        Network.read(tmp_path / "packed", "cpu")


PROJECTION = "model.layers.1.mlp.up_proj"
Change = Callable[[Tensors], object]


def without(part: str) -> Change:
    return lambda tensors: tensors.pop(f"{PROJECTION}.{part}")


def instead(part: str, change: Callable[[Tensor], Tensor]) -> Change:
    def put(tensors: Tensors) -> None:
        tensors[f"{PROJECTION}.{part}"] = change(tensors[f"{PROJECTION}.{part}"]).contiguous()

    return put


def state(**changes: Any) -> Change:
    def put(stored: Tensor) -> Tensor:
        found = {**json.loads(bytes(stored.tolist())), **changes}
        return torch.tensor(list(json.dumps(found).encode()), dtype=torch.uint8)

    return instead(STATE, put)


FAULTS: dict[str, tuple[Pack, dict[str, Any], Change, str]] = {
    "a scale is missing": (gptq(), GPTQ4, without("scales"), r"up_proj\.scales is missing"),
    "zeros are missing": (awq, AWQ4, without("qzeros"), r"up_proj\.qzeros is missing"),
    "nested scales are missing": (
        four_bits(nested=True), BNB4, without("weight.nested_absmax"), r"nested_absmax is missing",
    ),
    "an input belongs to no group": (gptq(), GPTQ4, instead("g_idx", lambda each: each + 1), r"g_idx does not fit"),
    "too few inputs": (gptq(), GPTQ4, instead("g_idx", lambda each: each[:100]), r"quantised \(gptq\) with 5 bits"),
    "too few scales": (awq, AWQ4, instead("scales", lambda each: each[:, :8]), r"up_proj\.scales does not fit"),
    "groups of no size": (awq, AWQ4, instead("scales", lambda each: each[:3]), r"up_proj\.scales does not fit|qzeros"),
    "zeros of another size": (gptq(), GPTQ4, instead("qzeros", lambda each: each[:1]), r"up_proj\.qzeros does not fit"),
    "scales of another size": (
        four_bits(nested=False), BNB4, instead("weight.absmax", lambda each: each[1:]), r"weight\.absmax does not fit",
    ),
    "a shape of another size": (
        four_bits(nested=False), BNB4, state(shape=[128, 128]), r"up_proj\.weight does not fit",
    ),
    "no shape": (four_bits(nested=False), BNB4, state(shape=None), r"quant_state.* does not fit"),
    "endless blocks": (four_bits(nested=False), BNB4, state(blocksize=float("inf")), r"quant_state.* does not fit"),
    "blocks that no memory holds": (
        four_bits(nested=False), BNB4, state(blocksize=1 << 40), r"quant_state.* does not fit",
    ),
    "no words": (
        gptq(told=False), GPTQ4, instead("qweight", lambda each: each[:0]), r"up_proj\.scales does not fit",
    ),
    "words that are cut": (
        gptq(), GPTQ4,
        lambda tensors: [instead(part, lambda each: each[:, :-4])(tensors) for part in ("qweight", "scales")],
        r"up_proj\.qweight does not fit",
    ),
    "blocks of nothing": (four_bits(nested=True), BNB4, state(nested_blocksize=-1), r"quant_state.* does not fit"),
    "an unknown dtype": (four_bits(nested=True), BNB4, state(dtype="complex64"), r"quant_state.* does not fit"),
    "a state of no object": (
        four_bits(nested=True), BNB4,
        instead(STATE, lambda each: torch.tensor([91, 93], dtype=torch.uint8)),
        r"quant_state.* does not fit",
    ),
    "another layout": (
        eight_bits, {"quant_method": "bitsandbytes", "load_in_8bit": True},
        instead("weight_format", lambda each: each + 1), r"up_proj\.weight laid out for one kind of GPU",
    ),
    "the transposed matrix": (
        gptq(), GPTQ4, instead("qweight", lambda each: each[:, :64]), r"up_proj\.scales does not fit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_together_is_refused_by_name(plain: Path, tmp_path: Path, fault: str) -> None:
    pack, described, change, told = FAULTS[fault]
    quantised.write(plain, tmp_path / "packed", pack, described)
    path = tmp_path / "packed" / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    change(tensors)
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(LoadFailed, match=told):
        Network.read(tmp_path / "packed", "cpu")


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({**GPTQ4, "checkpoint_format": "marlin"}, r"quantised \(gptq\) with checkpoint_format 'marlin'"),
        ({**AWQ4, "version": "gemv"}, r"quantised \(awq\) with version 'gemv'"),
        ({**AWQ4, "bits": 3}, r"quantised \(awq\) with bits 3"),
        ({**AWQ4, "zero_point": False}, r"quantised \(awq\) with zero_point False"),
    ],
    ids=str,
)
def test_ways_of_packing_that_are_not_read_are_refused_with_what_to_use_instead(
    plain: Path, tmp_path: Path, described: dict[str, Any], told: str
) -> None:
    quantised.write(plain, tmp_path / "packed", gptq(), described)
    (tmp_path / "packed" / "model.safetensors").unlink()
    with pytest.raises(LoadFailed, match=rf"{told}.*; choose the model's unquantised form, or a GGUF"):
        Network.read(tmp_path / "packed", "cpu")


def test_layers_that_hold_their_weights_across_are_refused(tmp_path: Path) -> None:
    """GPT-2's, which nobody quantises so: a square matrix would be taken for its transpose."""
    config = transformers.GPT2Config(n_embd=64, n_layer=1, n_head=4, vocab_size=300, n_positions=64)
    made: Any = transformers.GPT2LMHeadModel(config)
    made.save_pretrained(tmp_path / "plain")
    described = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    quantised.write(tmp_path / "plain", tmp_path / "packed", eight_bits, described)
    with pytest.raises(LoadFailed, match=r"its layers hold them across \(Conv1D\); choose the model's"):
        Network.read(tmp_path / "packed", "cpu")
