"""Packed checkpoints whose weights stay packed in memory: the same numbers, in a file's memory, or they are widened."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from transformers.models.llama.modeling_llama import LlamaMLP

from inference_server.attention.batch import Segment
from inference_server.cpu import packed_linear
from inference_server.cpu.packed_linear import PackedLinear, ReorderedLinear
from inference_server.cpu.weight_only_linear import WeightOnlyLinear
from inference_server.errors import LoadFailed
from inference_server.host import memory
from inference_server.models import adapter
from inference_server.runtime import packed_layers
from inference_server.runtime.model import Model
from inference_server.runtime.network import Network
from models import quantised
from models.packing import AWQ4, GPTQ4, GROUP, KINDS, WIDENED, awq, gptq
from models.quantised import Pack, Tensors

IDS = [5, 6, 7, 11]
pytestmark = pytest.mark.usefixtures("large")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantised.plain(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for models above the size from which weights stay packed."""
    monkeypatch.setattr("inference_server.cpu.dtype.LEAST_ELEMENTS", 1)


def expected_logits(network: Any) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(torch.tensor([IDS])).logits[0]
    return logits


def assert_every_path(loaded: Model, expected: Tensor) -> None:
    """A whole pass, a prefill, a step, a gradient."""
    torch.testing.assert_close(loaded.whole_pass.last_logits(IDS), expected[-1], atol=1e-5, rtol=1e-5)
    runner = loaded.runner
    assert runner is not None
    table = runner.open(IDS)
    found = runner.run([Segment(table, IDS[:-1], every_row=True)])
    torch.testing.assert_close(found, expected[:-1], atol=1e-5, rtol=1e-5)
    found = runner.run([Segment(table, IDS[-1:])])
    torch.testing.assert_close(found[0], expected[-1], atol=1e-5, rtol=1e-5)


def load_packed(plain: Path, folder: Path, pack: Pack, described: dict[str, Any]) -> tuple[Model, Any]:
    """A packed checkpoint, right on every path, and plain transformers with the numbers it stands for."""
    network = quantised.write(plain, folder, pack, described)
    loaded = Model.load(folder, "cpu", 1 << 20)
    assert_every_path(loaded, expected_logits(network))
    return loaded, network


@pytest.mark.parametrize("kind", KINDS)
def test_weights_stay_packed_and_give_the_same_numbers(plain: Path, tmp_path: Path, kind: str) -> None:
    pack, described, named = KINDS[kind]
    loaded, network = load_packed(plain, tmp_path / "packed", pack, described)
    facts, runner = loaded.facts, loaded.runner
    assert (facts.format, facts.dtype, facts.parameters) == (named, named, sum(p.numel() for p in network.parameters()))
    layers = [each for each in loaded.network.modules() if isinstance(each, PackedLinear)]
    assert len(layers) == 14
    apart = "shuffled" in kind
    assert all(isinstance(each, ReorderedLinear) == apart for each in layers)
    assert runner is not None
    assert runner.fused == (not apart)


@pytest.mark.parametrize("kind", WIDENED)
def test_what_no_blocks_hold_is_widened(plain: Path, tmp_path: Path, kind: str) -> None:
    pack, described, _ = WIDENED[kind]
    loaded, _ = load_packed(plain, tmp_path / "packed", pack, described)
    assert not any(isinstance(each, PackedLinear) for each in loaded.network.modules())
    assert loaded.facts.dtype == "float32"


def test_what_blocks_hold_stays_beside_what_they_do_not(plain: Path, tmp_path: Path) -> None:
    def pack(weight: Tensor) -> tuple[Tensors, Tensor]:
        return gptq(group=16 if weight.shape[0] == 192 else GROUP)(weight)

    loaded, _ = load_packed(plain, tmp_path / "packed", pack, GPTQ4)
    kinds = [type(each) for each in loaded.network.modules() if isinstance(each, WeightOnlyLinear)]
    assert (kinds.count(PackedLinear), kinds.count(WeightOnlyLinear)) == (10, 5)  # gate and up are wide, and the head


def test_where_kernels_differ_weights_are_widened(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = quantised.write(plain, tmp_path / "packed", awq, AWQ4)
    monkeypatch.setattr(packed_linear, "agrees", lambda kind, blocks, wide: False)
    packed_layers.trustworthy.cache_clear()
    loaded = Model.load(tmp_path / "packed", "cpu", 1 << 20)
    packed_layers.trustworthy.cache_clear()
    assert_every_path(loaded, expected_logits(network))
    assert loaded.facts.dtype == "float32"


def test_where_code_reads_the_weights_they_are_widened(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some converts its numbers to their dtype."""
    network = quantised.write(plain, tmp_path / "packed", awq, AWQ4)
    forward: Any = LlamaMLP.forward

    def converting(self: Any, x: Tensor) -> Tensor:
        found: Tensor = forward(self, x.to(self.gate_proj.weight.dtype))
        return found

    monkeypatch.setattr(LlamaMLP, "forward", converting)
    loaded = Network.read(tmp_path / "packed", "cpu")
    assert not any(isinstance(each, PackedLinear) for each in loaded.module.modules())
    found = expected_logits(loaded.module)
    torch.testing.assert_close(found, expected_logits(network), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_they_take_about_as_much_memory_as_the_file(plain: Path, tmp_path: Path, kind: str) -> None:
    pack, described, _ = KINDS[kind]
    quantised.write(plain, tmp_path / "packed", pack, described)
    with safetensors.safe_open(tmp_path / "packed" / "model.safetensors", "pt") as file:
        stored = sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118 - it is no mapping
    module = Network.read(tmp_path / "packed", "cpu").module
    taken = sum({each.data_ptr(): each.untyped_storage().nbytes() for each in module.parameters()}.values())
    assert taken < stored * (1.7 if "2 bits" in kind else 1.1)


def test_as_much_memory_is_asked_for_as_the_blocks_take(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = quantised.write(plain, tmp_path / "packed", awq, AWQ4)
    packed = sum(each.numel() for name, each in network.named_parameters() if name.endswith("_proj.weight"))
    norms = sum(each.numel() for each in network.parameters() if each.ndim == 1)  # they become float32
    plain_bytes = 2 * (sum(each.numel() for each in network.parameters()) - packed + norms)
    needed = packed // 32 * 20 + plain_bytes + sum(each.nbytes for each in network.buffers())
    monkeypatch.setattr(memory, "available", lambda: needed - 1)
    with pytest.raises(LoadFailed, match=r"^out of memory"):
        Network.read(tmp_path / "packed", "cpu")
    monkeypatch.setattr(memory, "available", lambda: needed)
    Network.read(tmp_path / "packed", "cpu")


@pytest.mark.parametrize("kind", ["gptq", "gptq, shuffled"])
def test_an_adapter_on_them(plain: Path, tmp_path: Path, kind: str) -> None:
    pack, described, _ = KINDS[kind]
    network = quantised.write(plain, tmp_path / "packed", pack, described)
    name, draw = "model.layers.1.mlp.up_proj", torch.Generator().manual_seed(4)
    a, b = torch.randn(4, 128, generator=draw) / 8, torch.randn(192, 4, generator=draw) / 8
    (tmp_path / "adapter").mkdir()
    pairs = {f"base_model.model.{name}.lora_{part}.weight": each for part, each in (("A", a), ("B", b))}
    safetensors.torch.save_file(pairs, tmp_path / "adapter" / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["up_proj"], "task_type": "CAUSAL_LM"}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    adapted = Network.read(tmp_path / "packed", "cpu").adapted(adapter.inspect(tmp_path / "adapter"), "base")
    network.get_parameter(f"{name}.weight").data += 2 * b @ a
    assert_every_path(Model.on(adapted, 1 << 20), expected_logits(network))
