"""Weights that are no plain numbers: read truly, or refused by a tensor's name; and leftovers that change nothing."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from torch import Tensor

from inference_server.cpu import dtype as dtype_module
from inference_server.errors import LoadFailed
from inference_server.host import memory
from inference_server.runtime.model import Model
from inference_server.runtime.network import Network

IDS = [5, 6, 7, 11]
FP8 = torch.float8_e4m3fn
QKV = "model.layers.1.self_attn.q_proj"
Tensors = dict[str, Tensor]


def rewrite(folder: Path, change: Callable[[Tensors], Any], **config: Any) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))


def each_linear(change: Callable[[Tensors, str], None]) -> Callable[[Tensors], None]:
    """A change of every matrix of the layers, told the name of its module."""

    def change_all(tensors: Tensors) -> None:
        for name in [name for name in tensors if name.endswith("_proj.weight")]:
            change(tensors, name.removesuffix(".weight"))

    return change_all


@each_linear
def modelopt(tensors: Tensors, module: str) -> None:
    """As NVIDIA's ModelOpt writes FP8: a scale for the weights, one for what comes in."""
    weight = tensors[f"{module}.weight"]
    scale = weight.abs().max() / 448
    tensors |= {
        f"{module}.weight": (weight / scale).to(FP8),
        f"{module}.weight_scale": scale,
        f"{module}.input_scale": torch.tensor(1.0),
    }


@each_linear
def bytes_alone(tensors: Tensors, module: str) -> None:
    tensors[f"{module}.weight"] = tensors[f"{module}.weight"].to(torch.float8_e5m2)


@each_linear
def eight_bits(tensors: Tensors, module: str) -> None:
    weight = tensors[f"{module}.weight"]
    tensors |= {f"{module}.weight": (weight * 99).to(torch.int8), f"{module}.SCB": weight.abs().amax(1)}


@each_linear
def gptq(tensors: Tensors, module: str) -> None:
    weight = tensors.pop(f"{module}.weight")
    packed = torch.zeros(weight.shape[1] // 8, weight.shape[0], dtype=torch.int32)
    tensors |= {f"{module}.qweight": packed, f"{module}.qzeros": packed[:1].clone(), f"{module}.scales": weight[:1]}


@each_linear
def nested_bits(tensors: Tensors, module: str) -> None:
    """As bitsandbytes writes four bits."""
    weight = tensors[f"{module}.weight"]
    tensors |= {
        f"{module}.weight": torch.zeros(weight.numel() // 2, 1, dtype=torch.uint8),
        f"{module}.weight.absmax": torch.zeros(weight.numel() // 64, dtype=torch.uint8),
        f"{module}.weight.quant_map": torch.zeros(16),
    }


@each_linear
def scaled_floats(tensors: Tensors, module: str) -> None:
    """Plain numbers, but to be multiplied."""
    tensors |= {f"{module}.weight": tensors[f"{module}.weight"] * 100, f"{module}.weight_scale": torch.tensor(0.01)}


def one_of_them(tensors: Tensors) -> None:
    tensors[f"{QKV}.weight"] = tensors[f"{QKV}.weight"].to(FP8)


def keys_and_values(tensors: Tensors) -> None:
    tensors |= {f"model.layers.0.self_attn.{which}_scale": torch.tensor(0.5) for which in "kv"}


KINDS: dict[str, tuple[Callable[[Tensors], None], str]] = {
    "modelopt": (modelopt, r"_proj\.weight is F8_E4M3"),
    "no scales": (bytes_alone, r"_proj\.weight is F8_E5M2"),
    "one matrix": (one_of_them, rf"{re.escape(QKV)}\.weight is F8_E4M3"),
    "int8": (eight_bits, r"_proj\.weight is I8"),
    "gptq": (gptq, r"_proj\.qweight is I32"),
    "bitsandbytes": (nested_bits, r"_proj\.weight is U8"),
    "scaled floats": (scaled_floats, r"model\.layers\.0\.mlp\.down_proj\.weight_scale was not read"),
    "scales of keys": (keys_and_values, r"model\.layers\.0\.self_attn\.k_scale was not read"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_nothing_turns_into_numbers_are_refused_by_name(folder: Path, kind: str) -> None:
    change, words = KINDS[kind]
    rewrite(folder, change)
    with pytest.raises(LoadFailed, match=words):
        Model.load(folder, "cpu")


@pytest.mark.parametrize("method", ["modelopt", "mlx", "", None, 5])
def test_a_way_transformers_does_not_know_is_refused_before_the_weights_are_read(folder: Path, method: Any) -> None:
    rewrite(folder, modelopt, quantization_config={"quant_method": method, "quant_algo": "FP8"})
    (folder / "model.safetensors").unlink()
    with pytest.raises(LoadFailed, match=r"its weights are quantised \(.*\) in a way transformers .* can't read"):
        Model.load(folder, "cpu")


def test_a_description_that_transformers_does_not_read_is_refused(folder: Path) -> None:
    (folder / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "FP8"}}')
    with pytest.raises(LoadFailed, match=r"its weights are quantised \(hf_quant_config\.json\)"):
        Model.load(folder, "cpu")


@pytest.mark.parametrize("method", ["hqq", "aqlm", "quanto"])
def test_a_way_that_lacks_a_package_is_refused_before_the_weights_are_read(folder: Path, method: str) -> None:
    rewrite(folder, lambda tensors: None, quantization_config={"quant_method": method, "bits": 4})
    (folder / "model.safetensors").unlink()
    with pytest.raises(LoadFailed, match=rf"its weights are quantised \({method}\), which can't be read: ImportError"):
        Model.load(folder, "cpu")


def logits(model: Model) -> Tensor:
    return model.whole_pass.last_logits(IDS)


LEFTOVERS: dict[str, Tensors] = {
    "rotations": {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)},
    "masks of truths": {"model.layers.0.self_attn.bias": torch.ones(1, 1, 64, 64, dtype=torch.bool)},
    "masks of bytes": {"model.layers.0.self_attn.bias": torch.ones(1, 1, 64, 64, dtype=torch.uint8)},
    "masks of floats": {"model.layers.0.self_attn.bias": torch.ones(1, 1, 64, 64)},
    "what masks hide": {"model.layers.0.self_attn.masked_bias": torch.tensor(-1e9)},
    "positions": {"model.position_ids": torch.arange(64)[None]},
    "eyes": {"vision_tower.layers.0.layer_scale.weight": torch.ones(4), "vision_tower.logit_scale": torch.ones(())},
    "another head": {"score.weight": torch.ones(2, 32)},
}


@pytest.mark.parametrize("kind", LEFTOVERS)
def test_what_older_and_larger_models_leave_over_changes_nothing(folder: Path, sound: Path, kind: str) -> None:
    expected = logits(Model.load(sound, "cpu"))
    rewrite(folder, lambda tensors: tensors.update(LEFTOVERS[kind]))
    torch.testing.assert_close(logits(Model.load(folder, "cpu")), expected, atol=1e-6, rtol=1e-6)


NIBBLES = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0])


@pytest.fixture(scope="module")
def mxfp4(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Experts in four bits with an exponent for 32 of them, as gpt-oss is published, and the same as plain numbers."""
    torch.manual_seed(4)
    config = transformers.GptOssConfig(
        vocab_size=300, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, num_local_experts=4, num_experts_per_tok=2, max_position_embeddings=64,
        pad_token_id=None, eos_token_id=None, initializer_range=0.2,
    )  # fmt: skip
    plain, packed = (tmp_path_factory.mktemp(name) for name in ("plain", "packed"))
    network: Any = transformers.AutoModelForCausalLM.from_config(config)
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for name in [name for name in tensors if name.endswith(("gate_up_proj", "down_proj"))]:
        experts, inner, outer = tensors.pop(name).shape
        blocks = torch.randint(256, (experts, outer, inner // 32, 16), dtype=torch.uint8)
        scales = torch.randint(122, 126, (experts, outer, inner // 32), dtype=torch.uint8)
        pairs = torch.stack((NIBBLES[(blocks & 15).int()], NIBBLES[(blocks >> 4).int()]), -1).flatten(-2)
        numbers = (pairs * torch.exp2(scales.float() - 127)[..., None]).flatten(-2).transpose(1, 2)
        network.get_parameter(name).data.copy_(numbers)
        tensors |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
    network.save_pretrained(plain)
    shutil.copy(plain / "config.json", packed)
    safetensors.torch.save_file(tensors, packed / "model.safetensors", metadata={"format": "pt"})
    rewrite(packed, lambda tensors: None, quantization_config={"quant_method": "mxfp4"})
    return packed, plain


def test_what_transformers_turns_into_plain_numbers_is_read_truly(mxfp4: tuple[Path, Path]) -> None:
    packed, plain = mxfp4
    with torch.inference_mode():
        network = transformers.AutoModelForCausalLM.from_pretrained(plain)
        expected = network(torch.tensor([IDS])).logits[0, -1]
    torch.testing.assert_close(logits(Model.load(packed, "cpu")), expected, atol=1e-5, rtol=1e-5)


def test_rotations_keep_their_precision_beside_weights_of_16_bits(
    mxfp4: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halve(tensors: Tensors) -> None:
        tensors |= {name: each.bfloat16() for name, each in tensors.items() if each.is_floating_point()}

    folder = Path(shutil.copytree(mxfp4[0], tmp_path / "halves"))
    rewrite(folder, halve, dtype="bfloat16")
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", 0)
    network = Network.read(folder, "cpu")
    assert network.compiled
    assert {buffer.dtype for buffer in network.module.buffers() if buffer.is_floating_point()} == {torch.float32}
    assert network.module.lm_head.weight.dtype == torch.bfloat16


def test_as_much_memory_is_asked_for_as_the_plain_numbers_take(
    mxfp4: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed, plain = mxfp4
    held, needed = ((folder / "model.safetensors").stat().st_size for folder in (packed, plain))
    monkeypatch.setattr(memory, "available", lambda: (held + needed) // 2)
    with pytest.raises(LoadFailed, match=r"^out of memory: needs about"):
        Model.load(packed, "cpu")
    monkeypatch.setattr(memory, "available", lambda: needed + 100_000)
    Model.load(packed, "cpu")


@pytest.mark.parametrize("lost", ["gate_up_proj_scales", "down_proj_blocks"])
def test_half_of_a_quantised_tensor_is_none(mxfp4: tuple[Path, Path], tmp_path: Path, lost: str) -> None:
    folder = Path(shutil.copytree(mxfp4[0], tmp_path / "half"))
    rewrite(folder, lambda tensors: [tensors.pop(name) for name in [*tensors] if name.endswith(lost)])
    with pytest.raises(LoadFailed):
        Model.load(folder, "cpu")
