"""Quantised checkpoints: read as an independent dequantisation in float32 reads them, or refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from inference_server.errors import LoadFailed
from inference_server.host import memory
from inference_server.runtime.model import Model
from inference_server.runtime.network import Network
from models import quantised
from models.quantised import Pack, Tensors

IDS = [5, 6, 7, 11]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantised.plain(tmp_path_factory.mktemp("plain"))


def fp8(weight: Tensor) -> tuple[Tensors, Tensor]:
    """As DeepSeek publishes it: e4m3 with a float32 scale for each block of 64 x 64."""
    rows, columns = weight.shape[0] // 64, weight.shape[1] // 64
    blocks = weight.reshape(rows, 64, columns, 64)
    scales = blocks.abs().amax((1, 3)) / 448 * 1.01
    packed = (blocks / scales[:, None, :, None]).to(torch.float8_e4m3fn)
    numbers = (packed.float() * scales[:, None, :, None]).reshape(weight.shape)
    return {"weight": packed.reshape(weight.shape), "weight_scale_inv": scales}, numbers


def float_quantized(weight: Tensor) -> tuple[Tensors, Tensor]:
    """As compressed-tensors: e4m3 with a scale for each row, here in bfloat16."""
    scales = (weight.abs().amax(1, keepdim=True) / 448).bfloat16()
    packed = (weight / scales.float()).to(torch.float8_e4m3fn)
    return {"weight": packed, "weight_scale": scales}, packed.float() * scales.float()


def int_quantized(weight: Tensor) -> tuple[Tensors, Tensor]:
    """Bytes, with a scale for each row."""
    scales = weight.abs().amax(1, keepdim=True) / 127
    packed = (weight / scales).round().clamp(-127, 127).to(torch.int8)
    return {"weight": packed, "weight_scale": scales}, packed.float() * scales


def pack_quantized(weight: Tensor) -> tuple[Tensors, Tensor]:
    """Four bits, eight numbers to an int32 from its lowest bits up, with a scale for 32 of a row."""
    groups = weight.reshape(len(weight), -1, 32)
    scales = groups.abs().amax(2) / 7
    numbers = (groups / scales[..., None]).round().clamp(-8, 7)
    nibbles = (numbers.reshape(len(weight), -1, 8) + 8).to(torch.int64)
    words = (nibbles << torch.arange(0, 32, 4)).sum(2)
    packed = torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
    stored = {"weight_packed": packed, "weight_scale": scales, "weight_shape": torch.tensor(weight.shape)}
    return stored, (numbers * scales[..., None]).reshape(weight.shape)


def scheme(form: str, **weights: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": {"symmetric": True, "dynamic": False, **weights}}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "ignore": ["lm_head"],
        "config_groups": {"group_0": group},
    }


KINDS: dict[str, tuple[Pack, dict[str, Any], str]] = {
    "fp8": (
        fp8,
        {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [64, 64]},
        "FP8",
    ),
    "float-quantized": (
        float_quantized,
        scheme("float-quantized", num_bits=8, type="float", strategy="channel"),
        "compressed-tensors (float-quantized)",
    ),
    "int-quantized": (
        int_quantized,
        scheme("int-quantized", num_bits=8, type="int", strategy="channel"),
        "compressed-tensors (int-quantized)",
    ),
    "pack-quantized": (
        pack_quantized,
        scheme("pack-quantized", num_bits=4, type="int", strategy="group", group_size=32),
        "compressed-tensors (pack-quantized)",
    ),
}


def quantise(plain: Path, folder: Path, kind: str) -> Any:
    pack, described, _ = KINDS[kind]
    return quantised.write(plain, folder, pack, described)


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_with_the_numbers_that_the_files_stand_for(plain: Path, tmp_path: Path, kind: str) -> None:
    network = quantise(plain, tmp_path / "packed", kind)
    with torch.inference_mode():
        expected = network(torch.tensor([IDS])).logits[0, -1]
    loaded = Model.load(tmp_path / "packed", "cpu", 1 << 20)
    torch.testing.assert_close(loaded.whole_pass.last_logits(IDS), expected, atol=1e-5, rtol=1e-5)
    assert loaded.runner is not None
    assert (loaded.facts.format, loaded.facts.dtype) == (KINDS[kind][2], "float32")


def test_no_scale_is_rounded_to_16_bits_though_nothing_else_has_more(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounded, probabilities of the published numbers would be off by more than the contract allows."""
    monkeypatch.setattr("inference_server.cpu.dtype.LEAST_ELEMENTS", 1)
    network = quantise(plain, tmp_path / "packed", "float-quantized")
    with torch.inference_mode():
        expected = network(torch.tensor([IDS])).logits[0, -1]
        rounded = network.to(torch.bfloat16).to(torch.float32)(torch.tensor([IDS])).logits[0, -1]
    found = Network.read(tmp_path / "packed", "cpu")
    assert found.compiled
    loaded = Model.on(found, 1 << 20)
    torch.testing.assert_close(loaded.whole_pass.last_logits(IDS), expected, atol=1e-4, rtol=1e-4)
    assert float((rounded.softmax(0) - expected.softmax(0)).abs().max()) > 1e-4


def test_as_much_memory_is_asked_for_as_the_numbers_take(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = quantise(plain, tmp_path / "packed", "pack-quantized")
    needed = 4 * sum(each.numel() for each in network.parameters())
    monkeypatch.setattr(memory, "available", lambda: needed - 1)
    with pytest.raises(LoadFailed, match=r"^out of memory"):
        Network.read(tmp_path / "packed", "cpu")


def test_blocks_that_divide_no_matrix_are_refused(plain: Path, tmp_path: Path) -> None:
    """192 rows in blocks of 128 have two scales; transformers would take them for blocks of 96."""
    quantise(plain, tmp_path / "packed", "fp8")
    described = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 64]}
    tensors = safetensors.torch.load_file(tmp_path / "packed" / "model.safetensors")
    for name in [name for name in tensors if name.endswith("scale_inv")]:
        tensors[name] = tensors[name][::2].contiguous()
    safetensors.torch.save_file(tensors, tmp_path / "packed" / "model.safetensors", metadata={"format": "pt"})
    quantised.describe(tmp_path / "packed", described)
    with pytest.raises(LoadFailed, match=r"in blocks of 128 x 64, which don't divide .* of 192 x 128"):
        Network.read(tmp_path / "packed", "cpu")


def test_two_ways_in_one_checkpoint_are_refused(plain: Path, tmp_path: Path) -> None:
    quantise(plain, tmp_path / "packed", "pack-quantized")
    described = scheme("pack-quantized", num_bits=4, type="int", strategy="group", group_size=32)
    described["config_groups"]["group_1"] = described["config_groups"]["group_0"]
    quantised.describe(tmp_path / "packed", described)
    with pytest.raises(LoadFailed, match="quantised in 2 ways"):
        Network.read(tmp_path / "packed", "cpu")


@pytest.mark.parametrize("method", ["aqlm", "hqq", "quanto", "torchao", "bitnet"])
def test_others_are_refused_before_the_weights_are_read_with_what_to_use_instead(
    plain: Path, tmp_path: Path, method: str
) -> None:
    folder = Path(shutil.copytree(plain, tmp_path / "packed"))
    (folder / "model.safetensors").unlink()
    extra = {"quant_type": "int8"} if method == "torchao" else {}
    quantised.describe(folder, {"quant_method": method, **extra})
    with pytest.raises(LoadFailed, match=rf"quantised \({method}\).*; choose the model's unquantised form, or a GGUF"):
        Network.read(folder, "cpu")
