"""Hostile model folders: each is refused in words that name the fault, before it takes memory or time or runs code."""

import json
import os
import resource
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import transformers
from models import architectures, tokenizers

from inference_server import engine
from inference_server.errors import LoadFailed
from inference_server.prefix_cache import PrefixCache
from inference_server.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.vocabulary import Vocabulary

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
DEEP = 200_000
PIECE = 2_000_000_000  # bytes of memory that a refusal must stay far below


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that loads."""
    folder = tmp_path_factory.mktemp("sound")
    tokenizers.build("byte_bpe", folder)
    architectures.build("llama", Vocabulary.load(folder).size, folder)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "hostile"))


def refusal(folder: Path) -> str:
    """Why a folder does not become an engine."""
    scheduler = Scheduler(queue_limit=1, batch_size=1, batch_tokens=100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LoadFailed) as failed:
        engine.load("hostile", folder, scheduler, PrefixCache(0), 0, Settings(device="cpu"))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < PIECE
    reason = str(failed.value)
    assert len(reason) < 500
    assert "\n" not in reason
    return reason


def reconfigure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_header(folder: Path, header: bytes, content: bytes = b"") -> None:
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + content)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes


def without(part: str) -> dict[str, Any]:
    return {name: value for name, value in tensor().items() if name != part}


HEADERS: dict[str, tuple[Any, str]] = {
    "no dtype": ({"w": without("dtype")}, "w has no known dtype"),
    "dtype unknown": ({"w": tensor(dtype="F7")}, "w has no known dtype"),
    "dtype a list": ({"w": tensor(dtype=["F32"])}, "w has no known dtype"),
    "no shape": ({"w": without("shape")}, "w has no shape of whole numbers"),
    "shape a string": ({"w": tensor(shape="2")}, "w has no shape of whole numbers"),
    "shape of strings": ({"w": tensor(shape=["2"])}, "w has no shape of whole numbers"),
    "shape of fractions": ({"w": tensor(shape=[2.0])}, "w has no shape of whole numbers"),
    "shape of truths": ({"w": tensor(shape=[True, 2])}, "w has no shape of whole numbers"),
    "negative": ({"w": tensor(shape=[-1, -2])}, "w has no shape of whole numbers"),
    "huge": ({"w": tensor(shape=[2**62, 2**62])}, "the shape of w does not fit its data_offsets"),
    "beyond numbers": ({"w": tensor(shape=[2**70])}, "w has no shape of whole numbers"),
    "many axes": ({"w": tensor(shape=[1] * 100_000)}, "w has no shape of whole numbers"),
    "no offsets": ({"w": without("data_offsets")}, "w has no two data_offsets"),
    "one offset": ({"w": tensor(data_offsets=[8])}, "w has no two data_offsets"),
    "offsets turned round": ({"w": tensor(data_offsets=[8, 0])}, "the shape of w does not fit its data_offsets"),
    "negative offset": ({"w": tensor(data_offsets=[-8, 0])}, "w has no two data_offsets"),
    "overlap": ({"v": tensor(), "w": tensor(data_offsets=[4, 12])}, "w overlaps the tensor before it"),
    "the same place": ({"v": tensor(), "w": tensor()}, "w overlaps the tensor before it"),
    "a hole": ({"v": tensor(), "w": tensor(data_offsets=[12, 20])}, "or leaves a hole"),
    "beyond the end": ({"w": tensor(shape=[99], data_offsets=[0, 396])}, "should take 396 bytes, not 8"),
    "no tensors": ({}, "should take 0 bytes, not 8"),
    "no object": ({"w": 5}, "w is not described by an object"),
    "a list": ([1, 2], "its header is not a JSON object"),
    "a number": (5, "its header is not a JSON object"),
    "deep": (b"[" * DEEP, "its header is nested too deeply"),
    "deep objects": (b'{"a":' * DEEP, "its header is nested too deeply"),
    "named twice": (b'{"w":{},"w":{}}', "names a tensor, or a part of one, twice"),
    "no UTF-8": (b'{"\xff": 1}', "can't decode byte 0xff"),
    "a number of digits": (b'{"w": ' + b"9" * 10_000 + b"}", "broken: "),
    "a long name": ({"w" * 10_000: 5}, "w... is not described by an object"),
}


@pytest.mark.parametrize("fault", HEADERS)
def test_a_header_that_contradicts_itself(folder: Path, fault: str) -> None:
    header, words = HEADERS[fault]
    write_header(folder, header if isinstance(header, bytes) else json.dumps(header).encode(), bytes(8))
    reason = refusal(folder)
    assert reason.startswith(f"the weights file {WEIGHTS} is ")
    assert words in reason


INDICES: dict[str, tuple[bytes, str]] = {
    "a list": (b'{"weight_map": ["a", "b"]}', "names no files"),
    "empty": (b'{"weight_map": {}}', "names no files"),
    "none": (b"{}", "names no files"),
    "numbers": (b'{"weight_map": {"w": 5}}', "names 5, which is no safetensors file beside it"),
    "lists": (b'{"weight_map": {"w": ["a"]}}', "names ['a'], which is no"),
    "up": (b'{"weight_map": {"w": "../sound/model.safetensors"}}', "'../sound/model.safetensors', which is no"),
    "root": (b'{"weight_map": {"w": "/etc/passwd"}}', "names '/etc/passwd', which is no"),
    "backslash": (b'{"weight_map": {"w": "..\\\\x.safetensors"}}', "which is no safetensors file beside it"),
    "a pickle": (b'{"weight_map": {"w": "pytorch_model.bin"}}', "names 'pytorch_model.bin', which is no"),
    "absent": (b'{"weight_map": {"w": "x.safetensors"}}', "the weights file x.safetensors is missing"),
    "twice": (b'{"weight_map": {"w": "a.safetensors", "w": "b.safetensors"}}', "it says two things of 'w'"),
    "deep": (b"[" * DEEP, "can't be read: it is nested too deeply"),
}


@pytest.mark.parametrize("fault", INDICES)
def test_an_index_that_makes_no_sense(folder: Path, fault: str) -> None:
    content, words = INDICES[fault]
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_bytes(content)
    reason = refusal(folder)
    assert words in reason
    assert reason.startswith(INDEX) or fault == "absent"


CONFIGS: dict[str, tuple[bytes, str]] = {
    "deep": (b"[" * DEEP, "config.json can't be read: it is nested too deeply"),
    "deep within": (b'{"model_type": "llama", "x": ' + b"[" * DEEP, "config.json can't be read: it is nested"),
    "twice": (b'{"model_type": "llama", "model_type": "gpt2"}', "config.json can't be read: it says two things of"),
    "no UTF-8": (b"\xff\xfe{}", "config.json can't be read: "),
    "a number of digits": (b'{"model_type": "llama", "n": ' + b"9" * 10_000 + b"}", "config.json can't be read: "),
    "a type of no sort": (b'{"model_type": ["llama"]}', "does not know its model_type"),
    "a long type": (b'{"model_type": "' + b"x" * 100_000 + b'"}', "does not know its model_type"),
}


@pytest.mark.parametrize("fault", CONFIGS)
def test_a_config_that_can_not_be_read_is_not_blamed_on_the_tokenizer(folder: Path, fault: str) -> None:
    content, words = CONFIGS[fault]
    (folder / "config.json").write_bytes(content)
    assert words in refusal(folder)


def test_files_that_are_none(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    assert refusal(folder) == "config.json is no file of at most 100 MB"
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    assert refusal(folder) == "config.json is no file of at most 100 MB"
    (folder / "config.json").rmdir()
    with (folder / "config.json").open("wb") as file:
        file.truncate(10**12)
    assert refusal(folder) == "config.json is no file of at most 100 MB"


def test_weights_of_another_form_are_not_read_in_their_place(folder: Path) -> None:
    """transformers would take them, whatever model.safetensors holds."""
    shutil.copy(folder / WEIGHTS, folder / "shard-00001-model-00001-of-00001.safetensors")
    assert "belongs to a checkpoint of another form (distributed)" in refusal(folder)


COUNTS = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "vocab_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
)
SIZES = [(name, count) for name in COUNTS for count in (-1, 10**7, 10**12, 2**63)]


@pytest.mark.parametrize(("name", "count"), [*SIZES, ("num_labels", 10**7), ("num_labels", 10**12)])
def test_a_network_that_the_weights_are_not_of_is_never_built(folder: Path, name: str, count: int) -> None:
    reconfigure(folder, **{name: count})
    assert "config.json" in refusal(folder)


@pytest.mark.parametrize("layers", [2_000, 9_999])
def test_layers_that_the_weights_do_not_have_are_never_built(folder: Path, layers: int) -> None:
    reconfigure(folder, num_hidden_layers=layers)
    assert "config.json describes a network of more than 10,000 parts" in refusal(folder)


def test_fewer_layers_than_the_weights_hold_make_another_model(folder: Path) -> None:
    reconfigure(folder, num_hidden_layers=architectures.LAYERS - 1)
    assert refusal(folder).startswith(
        "config.json counts fewer layers than the weights hold: nothing reads model.layers"
    )


def test_experts_that_the_weights_do_not_have(sound: Path, tmp_path: Path) -> None:
    architectures.build("mixtral", 300, tmp_path)
    for path in sound.glob("tokenizer*"):
        shutil.copy(path, tmp_path)
    reconfigure(tmp_path, num_local_experts=10**7)
    assert "config.json does not fit the weights" in refusal(tmp_path)


def test_masks_as_large_as_they_are_called(sound: Path, tmp_path: Path) -> None:
    """GPT-J keeps a table for its longest text: a buffer that no weights file has."""
    config = transformers.GPTJConfig(vocab_size=300, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=64)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    for path in sound.glob("tokenizer*"):
        shutil.copy(path, tmp_path)
    reconfigure(tmp_path, n_positions=10**12)
    assert refusal(tmp_path).startswith("out of memory: needs about ")


MARKER = "ran"
CODE = "import pathlib; pathlib.Path(__file__).with_name('ran').touch()\n"
FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"{name} {kernel}": ({name: kernel}, f"config.json asks for {name} {kernel!r}; only eager")
        for name in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
        for kernel in ("kernels-community/flash-attn2", "evil/kernel@main:run", "flash_attention_3", "paged|evil/x")
    },
    **{
        f"{name} {kernel}": ({name: kernel}, f"config.json asks for {name} {kernel!r}; only eager")
        for name in ("experts_implementation", "_experts_implementation")
        for kernel in ("deepgemm", "sonicmoe", "evil/kernel")
    },
    "by part": ({"attn_implementation": {"": "sdpa", "text_config": "evil/kernel"}}, "asks for attn_implementation"),
    "no name": ({"attn_implementation": [["evil/kernel"]]}, "asks for attn_implementation"),
    "nested": ({"text_config": {"_attn_implementation": "evil/kernel"}}, "asks for _attn_implementation"),
    "by layer": ({"per_layer_config": {"0": {"attn_implementation": "e/k"}}}, "asks for attn_implementation"),
    "by another name": (
        {"attribute_map": {"harmless": "_attn_implementation_internal"}, "harmless": "evil/kernel"},
        "config.json sets attribute_map, which is a part of transformers",
    ),
    "a method": ({"get_text_config": "x"}, "config.json sets get_text_config, which is a part of transformers"),
    "its class": ({"__class__": "x"}, "config.json sets __class__, which is a part of transformers"),
    "its values": ({"__dict__": {}}, "config.json sets __dict__, which is a part of transformers"),
    "extra files": ({"extra_files": ["../x.safetensors"]}, "config.json sets extra_files"),
    "weights": ({"transformers_weights": "../x.bin"}, "its own weights file (transformers_weights)"),
    "configurations": ({"configuration_files": ["config.4.0.0.json"]}, "other configuration files"),
    "fusions": ({"fusion_config": {"patch_embeddings": True}}, "fused modules (fusion_config)"),
    "kernels": ({"kernel_config": {"RMSNorm": "evil/kernel:Norm"}}, "config.json names kernels (kernel_config)"),
    "distribution": ({"distributed_config": {"tp_size": 2}}, "a distribution over machines"),
    **{
        method: ({"quantization_config": {"quant_method": method}}, f"quantised ({method}) for kernels that would have")
        for method in ("eetq", "fbgemm_fp8", "metal", "nvfp4", "gguf")
    },
    "a quantiser nobody knows": ({"quantization_config": {"quant_method": "mine"}}, "quantised (mine) in a way"),
    "a quantiser in a list": ({"quantization_config": ["mine"]}, "config.json"),
    "a type of its own": ({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}, "needs code of its own"),
}


@pytest.mark.parametrize("fault", FOREIGN)
def test_names_that_make_transformers_fetch_or_run_code(folder: Path, fault: str) -> None:
    changes, words = FOREIGN[fault]
    (folder / "mine.py").write_text(CODE)
    reconfigure(folder, **changes)
    assert words in refusal(folder)
    assert not (folder / MARKER).exists()


@pytest.mark.parametrize("package", ["kernels", "flash_attn"])
def test_what_is_installed_decides_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    (folder / f"{package}.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(folder))
    for kernel in ("kernels-community/flash-attn2", "flash_attention_2"):
        reconfigure(folder, attn_implementation=kernel)
        assert "config.json asks for attn_implementation" in refusal(folder)
    assert not (folder / MARKER).exists()
    assert package not in sys.modules


def test_code_beside_a_known_type_is_never_run(folder: Path) -> None:
    """Many published models bring code for older versions of transformers, and load without it."""
    for name in ("mine", "custom_generate/generate"):
        (folder / f"{name}.py").parent.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(CODE)
    reconfigure(folder, auto_map={"AutoConfig": "mine.Config", "AutoModelForCausalLM": "other/repo--mine.Model"})
    scheduler = Scheduler(queue_limit=1, batch_size=1, batch_tokens=100)
    engine.load("beside", folder, scheduler, PrefixCache(0), 0, Settings(device="cpu"))
    assert list(folder.rglob(MARKER)) == []


def damage(folder: Path, value: float) -> None:
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    tensors["model.norm.weight"][3] = value
    safetensors.torch.save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize(("value", "words"), [(float("nan"), "not a number (NaN)"), (float("inf"), "")])
def test_logits_that_are_no_numbers(folder: Path, value: float, words: str) -> None:
    damage(folder, value)
    reason = refusal(folder)
    assert reason.startswith("its logits are ")
    assert words in reason
