"""Which device the setting means, and how a model is spread over all GPUs; what torch says of GPUs is made up."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from inference_server.errors import LoadFailed
from inference_server.runtime import devices, weight_loader
from inference_server.runtime.devices import Place


def gpus(monkeypatch: pytest.MonkeyPatch, *free: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda at: (free[at if isinstance(at, int) else at.index], 10**12))


@pytest.mark.parametrize(
    ("asked", "device", "several", "shown"),
    [
        ("auto", "cuda:0", False, "cuda:0"),
        ("cuda", "cuda:0", False, "cuda:0"),
        ("cuda:all", "cuda:0", True, "cuda:all"),
        ("cpu", "cpu", False, "cpu"),
    ],
)
def test_with_gpus(monkeypatch: pytest.MonkeyPatch, asked: str, device: str, several: bool, shown: str) -> None:
    gpus(monkeypatch, 5, 7)
    place = devices.find(asked)
    assert (str(place.device), place.several, str(place)) == (device, several, shown)
    assert place.free_bytes == {"cuda:0": 5, "cuda:all": 12}.get(shown)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("cuda:all", "no CUDA GPU to spread a model over; set it to auto or cpu"),
        ("cuda", "CUDA is not available on this machine; set NEXTTOKEN_DEVICE to auto or cpu"),
    ],
)
def test_without_any(monkeypatch: pytest.MonkeyPatch, asked: str, words: str) -> None:
    gpus(monkeypatch)
    with pytest.raises(LoadFailed, match=words):
        devices.find(asked)
    assert str(devices.find("auto")) == ("mps" if torch.backends.mps.is_available() else "cpu")


def test_memory_of_all_gpus_counts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 5, 7)
    weight_loader.check_room(12, devices.find("cuda:all"))
    with pytest.raises(LoadFailed, match=r"^out of memory"):
        weight_loader.check_room(13, devices.find("cuda:all"))
    with pytest.raises(LoadFailed, match=r"^out of memory"):
        weight_loader.check_room(12, devices.find("cuda"))


def test_a_model_of_which_parts_fit_on_no_gpu_is_refused() -> None:
    network: Any = SimpleNamespace(hf_device_map={"model.embed": 0, "model.layers.1": "cpu", "lm_head": "disk"})
    with pytest.raises(LoadFailed, match="2 of its parts, such as lm_head, fit on no GPU"):
        weight_loader._check_spread(network)
    weight_loader._check_spread(SimpleNamespace(hf_device_map={"": 0, "lm_head": 1}))


def test_a_place_is_a_value() -> None:
    assert Place(torch.device("cpu")) == Place(torch.device("cpu"), several=False)
    assert Place(torch.device("cpu")).free_bytes is None
