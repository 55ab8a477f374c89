"""An adapter's name, its description and the header of its weights: read as PEFT reads them, or refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from inference_server.errors import LoadFailed
from inference_server.models import adapter
from inference_server.models.adapter import CONFIG, WEIGHTS

LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
TENSORS = {f"{LAYER}.lora_A.weight": torch.zeros(4, 32), f"{LAYER}.lora_B.weight": torch.zeros(16, 4)}
DESCRIBED = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "b"}


def write(folder: Path, tensors: Any = None, **described: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps({**DESCRIBED, **described}))
    safetensors.torch.save_file(TENSORS if tensors is None else tensors, folder / WEIGHTS)
    return folder


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gpt2", ("gpt2", None)),
        ("owner/base + other/adapter", ("owner/base", "other/adapter")),
        ("a  +   b@v2", ("a", "b@v2")),
        ("/models/a+b", ("/models/a+b", None)),
        ("/models/c++ + /adapters/x y", ("/models/c++", "/adapters/x y")),
    ],
)
def test_a_name_has_one_or_two_parts(name: str, parts: tuple[str, str | None]) -> None:
    assert adapter.parts(name) == parts


@pytest.mark.parametrize("name", ["a + b + c", "+ b", "a + ", "+"])
def test_another_number_of_parts_is_refused(name: str) -> None:
    with pytest.raises(LoadFailed, match=r"named `base . adapter`"):
        adapter.parts(name)


@pytest.mark.parametrize(
    ("described", "scaling"),
    [
        ({}, 2.0),
        ({"use_rslora": True}, 4.0),
        ({"alpha_pattern": {"q_proj": 12}}, 3.0),
        ({"alpha_pattern": {"v_proj": 12}}, 2.0),
        ({"alpha_pattern": {r"^model\.layers\.0\.self_attn.q_proj": 4, "q_proj": 12}}, 1.0),
        ({"alpha_pattern": {"proj": 12}}, 2.0),
        ({"alpha_pattern": {".*proj": 12}}, 3.0),
        ({"r": 64, "rank_pattern": {"q_proj": 4}}, 2.0),
        ({"lora_alpha": 0.5}, 0.125),
    ],
)
def test_the_scaling_is_pefts(tmp_path: Path, described: dict[str, Any], scaling: float) -> None:
    found = adapter.inspect(write(tmp_path, **described))
    (name, pair), *others = found.pairs.items()
    assert (name, others, found.base, found.elements) == ("model.layers.0.self_attn.q_proj", [], "b", 4 * 48)
    assert (pair.rank, pair.inputs, pair.outputs, pair.embedding) == (4, 32, 16, False)
    assert pair.scaling == pytest.approx(scaling)


def test_a_pair_for_an_embedding_has_names_of_its_own(tmp_path: Path) -> None:
    names = ("lora_embedding_A", "lora_embedding_B")
    tensors = {f"base_model.model.model.embed.{name}": each for name, each in zip(names, TENSORS.values(), strict=True)}
    (pair,) = adapter.inspect(write(tmp_path, tensors, target_modules=["embed"])).pairs.values()
    assert pair.embedding


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"peft_type": "LOHA"}, "of type 'LOHA'; only LORA"),
        ({"peft_type": None}, "only LORA is supported"),
        ({"task_type": "SEQ_CLS"}, "for 'SEQ_CLS', not for CAUSAL_LM"),
        ({"bias": "lora_only"}, "bias: 'lora_only'"),
        ({"use_dora": True}, "uses DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [5]}, "trainable_token_indices"),
        ({"target_parameters": ["experts"]}, "target_parameters"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"alora_invocation_tokens": [5]}, "alora_invocation_tokens"),
        ({"lora_bias": True}, "lora_bias"),
        ({"use_qalora": True}, "uses use_qalora"),
        ({"megatron_config": {"a": 1}}, "uses megatron_config"),
        ({"loftq_config": {"loftq_bits": 4}}, "uses loftq_config"),
        ({"arrow_config": {"top_k": 3}}, "uses arrow_config"),
        ({"something_new": 1}, "uses something_new, which is not supported"),
        ({"init_lora_weights": "pissa_niter_4"}, "begun with 'pissa_niter_4'"),
        ({"init_lora_weights": "loftq"}, "begun with 'loftq'"),
        ({"init_lora_weights": 1}, "begun with 1"),
        ({"r": 8}, "ranks 4 and 4, its adapter_config.json says 8"),
        ({"rank_pattern": {"q_proj": 2}}, "says 2"),
        ({"rank_pattern": [2]}, r"rank_pattern: \[2\]; it has to be an object"),
        ({"lora_alpha": "8"}, "lora_alpha: '8'; it has to be a number"),
        ({"lora_alpha": True}, "it has to be a number"),
        ({"lora_alpha": -1}, "it has to be a number"),
        ({"lora_alpha": float("nan")}, "it has to be a number"),
        ({"lora_alpha": 1e300}, "it has to be a number"),
        ({"target_modules": ["q_proj", "k_proj"]}, "lack k_proj"),
        ({"target_modules": ["v_proj"]}, "lack v_proj"),
    ],
)
def test_what_can_t_be_done_truly_is_refused_by_name(tmp_path: Path, described: dict[str, Any], words: str) -> None:
    with pytest.raises(LoadFailed, match=words):
        adapter.inspect(write(tmp_path, **described))


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)(a|a)", "a{9999}", ".*.*.*.*q", r"(x)\1", "x" * 301, "q_proj)|(.*", "["]
)
@pytest.mark.parametrize("where", ["alpha_pattern", "rank_pattern"])
def test_a_pattern_that_could_take_long_is_never_tried(tmp_path: Path, where: str, pattern: str) -> None:
    with pytest.raises(LoadFailed, match=f"pattern in {where}"):
        adapter.inspect(write(tmp_path, **{where: {pattern: 4}}))


A, B = TENSORS
OTHERS: dict[str, tuple[dict[str, torch.Tensor], str]] = {
    "half a pair": ({A: TENSORS[A]}, "only one of the two matrices"),
    "a magnitude": ({**TENSORS, f"{LAYER}.lora_magnitude_vector": torch.zeros(16)}, "lora_magnitude_vector"),
    "a bias": ({**TENSORS, f"{LAYER}.lora_B.bias": torch.zeros(16)}, r"lora_B\.bias"),
    "a layer of its own": ({**TENSORS, "base_model.model.lm_head.weight": torch.zeros(9, 9)}, r"lm_head\.weight"),
    "another prefix": ({name.replace("base_model.model", "x"): each for name, each in TENSORS.items()}, "x.model"),
    "integers": ({A: TENSORS[A].int(), B: TENSORS[B]}, "no matrix of a LoRA layer"),
    "convolutions": ({A: torch.zeros(4, 32, 1, 1), B: TENSORS[B]}, "no matrix of a LoRA layer"),
    "different ranks": ({A: TENSORS[A], B: torch.zeros(16, 5)}, "ranks 4 and 5"),
    "no rank": ({A: torch.zeros(0, 32), B: torch.zeros(16, 0)}, "ranks 0 and 0"),
    "mixed kinds": ({A: TENSORS[A], f"{LAYER}.lora_embedding_B": TENSORS[B]}, "only one of the two"),
    "another layer": ({**TENSORS, **{n.replace("q_", "z_"): t.clone() for n, t in TENSORS.items()}}, "does not name"),
    "nothing": ({}, "has no tensors"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_tensors_that_are_no_pairs_are_refused(tmp_path: Path, kind: str) -> None:
    tensors, words = OTHERS[kind]
    with pytest.raises(LoadFailed, match=words):
        adapter.inspect(write(tmp_path, tensors))


def test_damaged_files_are_refused_as_a_models_are(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-1])
    with pytest.raises(LoadFailed, match="truncated or corrupt"):
        adapter.inspect(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(LoadFailed, match=f"{WEIGHTS} is missing"):
        adapter.inspect(folder)
    (folder / WEIGHTS).symlink_to(tmp_path / "nowhere")
    with pytest.raises(LoadFailed, match="broken link"):
        adapter.inspect(folder)
    for text in ("", "[]", "{" * 5000, '{"r": 4, "r": 5}'):
        (folder / CONFIG).write_text(text)
        with pytest.raises(LoadFailed, match=CONFIG):
            adapter.inspect(folder)
