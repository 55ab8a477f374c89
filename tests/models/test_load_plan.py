"""What the headers of a folder's weights decide: the dtype in memory, what stays packed, how much is needed."""

from pathlib import Path

import pytest
import torch

from inference_server.cpu import dtype as dtype_module
from inference_server.runtime import architecture, devices
from inference_server.runtime.load_plan import LoadPlan
from models import quantised
from models.packing import KINDS, WIDENED

LARGE = 1


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
    assert found.needed == found.blueprint.bytes_at(2 if large else 4)
    assert not found.converts
    assert found.unpacked is None
    assert not found.kept.weights


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
    assert found.needed == found.blueprint.bytes_at(2) - 2 * numbers + numbers // 32 * of_a_block
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
