"""Hostile configurations: each is refused by name, before it takes memory or time, or runs or fetches any code."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import transformers
from models import architectures

from attack.folders import DEEP, build, load, reconfigure, refusal


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "hostile"))


CONFIGS: dict[str, tuple[bytes, str]] = {
    "deep": (b"[" * DEEP, "config.json can't be read: it is nested too deeply"),
    "deep within": (b'{"model_type": "llama", "x": ' + b"[" * DEEP, "config.json can't be read: it is nested"),
    "twice": (b'{"model_type": "llama", "model_type": "gpt2"}', "config.json can't be read: conflicting values for"),
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
    assert refusal(folder).startswith("config.json has fewer layers than the weights: model.layers")


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
        "config.json sets attribute_map, which is internal to transformers",
    ),
    "a method": ({"get_text_config": "x"}, "config.json sets get_text_config, which is internal to transformers"),
    "its class": ({"__class__": "x"}, "config.json sets __class__, which is internal to transformers"),
    "its values": ({"__dict__": {}}, "config.json sets __dict__, which is internal to transformers"),
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
    "a type of its own": ({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}, "requires custom code"),
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
    load(folder)
    assert list(folder.rglob(MARKER)) == []
