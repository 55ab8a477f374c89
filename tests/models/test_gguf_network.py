"""Networks out of GGUF files give the logits of gguf's own dequantisation in plain transformers, packed or widened."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers
from published import MODEL, folder
from torch import Tensor

from inference_server.attention.batch import Segment
from inference_server.cpu import dtype as dtype_module
from inference_server.cpu import packed_linear
from inference_server.engine import gguf_folder
from inference_server.errors import LoadFailed
from inference_server.runtime import weight_loader
from inference_server.runtime.model import Model
from models import gguf_files, tokenizers
from models.gguf_files import CONFIGS, Written

MIXED = ("Q4_1", "Q8_0", "F16", "Q4_K", "Q6_K")
KINDS = [*packed_linear.KINDS, "F16", "BF16", "F32", "MXFP4"]
FUSED = {"llama", "llama_biased", "mistral", "qwen2", "qwen3"}
PROMPT = [int(token) for token in torch.randint(3, 600, (40,), generator=torch.Generator().manual_seed(2))]
Write = Callable[[str, tuple[str, ...]], Written]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    vocabulary = tmp_path_factory.mktemp("vocabulary")
    tokenizers.build("byte_bpe", vocabulary)
    made: dict[tuple[str, tuple[str, ...]], Written] = {}

    def write(name: str, kinds: tuple[str, ...]) -> Written:
        key = name, kinds
        if key not in made:
            path = tmp_path_factory.mktemp("file") / f"{name}.gguf"
            made[key] = gguf_files.write(name, kinds, vocabulary, path, padding=3)
        return made[key]

    return write


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for models above the size from which weights stay packed."""
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", 0)


def load(path: Path, cache_bytes: int = 1 << 22) -> Model:
    with gguf_folder.unpacked(path) as unpacked:
        return Model.load(unpacked, "cpu", cache_bytes)


@torch.inference_mode()
def plain(network: torch.nn.Module, ids: list[int]) -> Tensor:
    logits: Tensor = network(torch.tensor([ids]), use_cache=False).logits[0]
    return logits


def assert_true(found: Tensor, expected: Tensor) -> None:
    """To 1e-5 of the largest logit."""
    assert float((found - expected).abs().max()) < 1e-5 * max(1.0, float(expected.abs().max()))


def assert_every_path(model: Model, network: torch.nn.Module) -> None:
    """A whole pass, a prefill in chunks, alternatives of a step, a step."""
    expected = plain(network, PROMPT)
    assert float(expected.softmax(-1).amax(-1).median()) > 0.01  # or nothing would be told apart
    assert_true(model.whole_pass.last_logits(PROMPT), expected[-1])
    runner = model.runner
    assert runner is not None
    table = runner.open(PROMPT)
    assert_true(runner.run([Segment(table, PROMPT[:30], every_row=True)]), expected[:30])
    assert_true(runner.run([Segment(table, PROMPT[30:])])[0], expected[-1])
    choices = [5, 9, 11]
    rows = runner.run([Segment(table, choices, alternatives=True, keep=True)])
    assert_true(rows, torch.stack([plain(network, [*PROMPT, choice])[-1] for choice in choices]))
    assert_true(runner.run([Segment(table, [9])])[0], plain(network, [*PROMPT, 9])[-1])


@pytest.mark.parametrize("name", CONFIGS)
def test_architectures_stay_packed(write: Write, large: None, name: str) -> None:
    written = write(name, MIXED)
    model = load(written.path)
    assert_every_path(model, written.network)
    assert model.runner is not None
    assert model.runner.fused == (name in FUSED)
    layers = [each for each in model.network.modules() if isinstance(each, packed_linear.PackedLinear)]
    assert {layer.kind for layer in layers} > {"Q8_0", "Q4_K"}
    parameters = sum(parameter.numel() for parameter in written.network.parameters())
    assert model.facts.parameters == parameters
    assert model.facts.dtype.startswith("GGUF ")
    assert model.facts.layers == written.network.config.num_hidden_layers
    assert (model.facts.layers_refusal, model.facts.attention_refusal) == ("", "")
    assert model.facts.contrast_refusal == "" or name.startswith("gemma")
    assert model.facts.vocab_size == written.network.config.vocab_size


@pytest.mark.parametrize("kind", KINDS)
def test_tensor_types(write: Write, large: None, kind: str) -> None:
    written = write("llama", (kind,))
    model = load(written.path)
    assert_every_path(model, written.network)
    assert model.facts.dtype == f"GGUF {kind}"
    assert model.runner is not None
    assert model.runner.fused == (kind != "MXFP4")  # widened: no layers of ours


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2"])
def test_small_models_are_widened(write: Write, name: str) -> None:
    written = write(name, MIXED)
    model = load(written.path)
    assert not any(isinstance(each, packed_linear.PackedLinear) for each in model.network.modules())
    assert_every_path(model, written.network)


def test_kernels_that_differ_are_not_used(write: Write, large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_linear, "trustworthy", lambda kind: kind != "Q4_K")
    written = write("qwen2", MIXED)
    model = load(written.path)
    assert not any(isinstance(each, packed_linear.PackedLinear) for each in model.network.modules())
    assert_every_path(model, written.network)


def test_rotations_keep_the_files_factors(write: Write, large: None, tmp_path: Path) -> None:
    """Llama 3.1's files hold them as a tensor, where its config.json has a formula."""
    source = write("llama", ("Q8_0",))
    factors = np.linspace(1, 8, gguf_files.WIDTH // 2, dtype=np.float32)
    path = tmp_path / "turned.gguf"
    copy_with(source.path, path, {"rope_freqs.weight": factors})
    rotary = source.network.model.rotary_emb
    before, expected = rotary.inv_freq, plain(source.network, PROMPT)
    rotary.inv_freq = before / torch.from_numpy(factors)
    try:
        assert float((plain(source.network, PROMPT) - expected).abs().max()) > 0.1
        assert_every_path(load(path), source.network)
    finally:
        rotary.inv_freq = before


def copy_with(source: Path, path: Path, tensors: dict[str, np.ndarray], without: str = "") -> None:
    """A copy of a file with further tensors, or without some."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(path, "llama")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            sub = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=sub)
    for tensor in reader.tensors:
        if tensor.name != without:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    for name, added in tensors.items():
        writer.add_tensor(name, added)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("added", "without", "words"),
    [
        ({"blk.0.ffn_gate_inp.weight": np.ones((4, 32), np.float32)}, "", "not known to have: blk.0.ffn_gate_inp"),
        ({"blk.7.attn_norm.weight": np.ones(256, np.float32)}, "", "leaves no room for: model.layers.7.input_lay"),
        ({}, "blk.1.ffn_up.weight", "it lacks model.layers.1.mlp.up_proj.weight"),
        (
            {"output_norm.weight": np.ones(32, np.float32)},
            "output_norm.weight",
            r"model.norm.weight would be \[256\] by its metadata, the file has \[32\]",
        ),
        ({"rope_freqs.weight": np.zeros(16, np.float32)}, "", "rope_freqs.weight does not fit"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    write: Write, tmp_path: Path, added: dict[str, np.ndarray], without: str, words: str
) -> None:
    path = tmp_path / "other.gguf"
    copy_with(write("llama", ("Q8_0",)).path, path, added, without)
    with pytest.raises(LoadFailed, match=rf"other\.gguf: .*{words}"):
        load(path)


@pytest.mark.parametrize(("packed", "kind"), [(True, "Q4_0"), (False, "Q4_0"), (True, "F16")])
def test_room_is_checked_before_tensors_are_read(
    write: Write, monkeypatch: pytest.MonkeyPatch, packed: bool, kind: str
) -> None:
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", 0 if packed else 1 << 40)
    asked = list[int]()

    def check_room(needed: int, place: torch.device) -> None:
        asked.append(needed)
        raise LoadFailed("no room")

    monkeypatch.setattr(weight_loader, "check_room", check_room)
    written = write("llama", (kind,))
    with pytest.raises(LoadFailed, match="no room"):
        load(written.path)
    parameters = sum(parameter.numel() for parameter in written.network.parameters())
    each = {"Q4_0": 18 / 32, "F16": 2.0}[kind] if packed else 4.0
    assert asked[0] == pytest.approx(parameters * each, rel=0.02)


def test_the_published_file(large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against transformers' own reading of the same file, which widens it to float32.

    It reads the file twice, string by string out of a map, and lists all names for each module: here once, in memory.
    """
    path = folder(MODEL).parent / f"{MODEL}.Q4_1.gguf"
    model = load(path, 1 << 24)
    assert (model.facts.parameters, model.facts.dtype) == (134_515_008, "GGUF Q4_1")
    monkeypatch.setattr(np, "memmap", lambda path, mode, dtype=np.uint8: np.fromfile(path, dtype))
    for name in ("GGUFReader", "get_tensor_name_map"):
        monkeypatch.setattr(gguf, name, cache(getattr(gguf, name)))
    network = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    assert_every_path(model, network.eval())
