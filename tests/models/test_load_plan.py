"""What the headers of a folder's weights decide: the dtype in memory, what stays packed, how much is needed."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf

from inference_server.cpu import dtype as dtype_module
from inference_server.runtime import architecture, devices
from inference_server.runtime.load_plan import LoadPlan
from inference_server.runtime.network import Network
from models import architectures, quantised
from models.packing import KINDS, WIDENED

LARGE = 1
SHAPES: dict[str, tf.PreTrainedConfig] = {
    **{
        name: architectures.ARCHITECTURES[name](300)
        for name in ("gpt2", "opt", "llama", "gemma2", "gemma3", "mixtral", "qwen3_moe")
    },
    "gpt_oss": tf.GptOssConfig(vocab_size=300, num_local_experts=4, **architectures.HEAD_DIM),
    "olmoe": tf.OlmoeConfig(vocab_size=300, num_experts=4, num_experts_per_tok=2, **architectures.GATED),
    "llama4": tf.Llama4TextConfig(
        vocab_size=300, num_local_experts=4, intermediate_size_mlp=48, **architectures.HEAD_DIM
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantised.plain(tmp_path_factory.mktemp("plain"))


def plan(folder: Path) -> LoadPlan:
    return LoadPlan.of(folder, architecture.configuration(folder), devices.find("cpu"))


@pytest.mark.parametrize("least", [LARGE, 1 << 40])
def test_weights_of_16_bits_stay_so_in_large_models(plain: Path, monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", least)
    found, large = plan(plain), least == LARGE
    assert (found.dtype, found.compiled) == ((torch.bfloat16, True) if large else (torch.float32, False))
    assert found.needed == (found.blueprint.bytes_widened(2) if large else found.blueprint.bytes_at(4))
    assert not found.converts
    assert found.unpacked is None
    assert not found.kept.weights


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, torch.bfloat16) for name in SHAPES), ("mixtral", torch.float16), ("mixtral", torch.float32)],
    ids=str,
)
def test_what_a_network_takes_was_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", LARGE)
    network: Any = tf.AutoModelForCausalLM.from_config(SHAPES[name])
    network.to(dtype).save_pretrained(tmp_path)
    loaded = Network.read(tmp_path, "cpu")
    assert loaded.compiled
    tensors = [*loaded.module.parameters(), *loaded.module.buffers()]
    assert plan(tmp_path).needed == sum({each.data_ptr(): each.nbytes for each in tensors}.values())


@pytest.mark.parametrize("kind", ["bitsandbytes, 8 bits", "gptq", "awq"])
def test_what_stays_packed_needs_the_memory_of_its_blocks(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", LARGE)
    pack, described, _ = KINDS[kind]
    network = quantised.write(plain, tmp_path / "packed", pack, described)
    found, matrices = plan(tmp_path / "packed"), [name for name, _ in network.named_parameters() if "_proj" in name]
    assert (found.dtype, found.compiled) == (torch.bfloat16, True)
    assert sorted(found.kept.weights) == sorted(matrices)
    assert found.unpacked is not None
    assert found.unpacked.keys() == dict(network.named_parameters()).keys()
    numbers = sum(network.get_parameter(name).numel() for name in matrices)
    of_a_block = 36 if "8 bits" in kind else 20  # bytes for 32 numbers
    assert found.needed == found.blueprint.bytes_widened(2) - 2 * numbers + numbers // 32 * of_a_block
    assert not architecture.quantizer_of(found.config)


@pytest.mark.parametrize("kind", WIDENED)
def test_what_is_multiplied_out_takes_32_bits(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", LARGE)
    pack, described, _ = WIDENED[kind]
    quantised.write(plain, tmp_path / "packed", pack, described)
    found = plan(tmp_path / "packed")
    assert (found.dtype, found.compiled) == (torch.float32, True)
    assert not found.kept.weights
    assert found.needed == found.blueprint.bytes_at(4)
