"""A LoRA adapter's files in PEFT's format, before anything is read of its weights but their header.

What changes the arithmetic beyond scaled low-rank products is refused by name, and so is any option not known here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference_server.errors import LoadFailed
from inference_server.models import safetensors_header
from inference_server.models.checkpoint import FLOATS, check_link, read_json
from inference_server.models.safetensors_header import Tensor, short

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
JOIN = re.compile(r"(?:^|\s+)\+(?:\s+|$)")
PREFIX = "base_model.model."
ENDINGS = {
    ".lora_A.weight": "a",
    ".lora_B.weight": "b",
    ".lora_embedding_A": "a",
    ".lora_embedding_B": "b",
}
NEUTRAL = {  # options that the weights already show, or that only matter to training
    *(
        "peft_type",
        "peft_version",
        "task_type",
        "inference_mode",
        "auto_mapping",
        "base_model_name_or_path",
        "revision",
    ),
    *("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "fan_in_fan_out", "bias", "init_lora_weights"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout", "runtime_config"),
    *("megatron_core", "qalora_group_size", "eva_config"),
}
STARTS = (True, False, None, "gaussian", "eva", "orthogonal")  # other ways to begin change the base's weights as well
NAMED = {
    "use_dora": "DoRA",
    "modules_to_save": "whole layers of its own (modules_to_save)",
    "trainable_token_indices": "tokens of its own (trainable_token_indices)",
    "target_parameters": "changes to the weights of experts (target_parameters)",
    "layer_replication": "repeated layers (layer_replication)",
    "alora_invocation_tokens": "an effect that begins at a certain token (alora_invocation_tokens)",
    "lora_bias": "biases (lora_bias)",
}
MERGE = "merge it into its base with PEFT's merge_and_unload and load the result"
MAX_PATTERN = 300


@dataclass(frozen=True)
class Pair:
    """The two low-rank matrices of one layer: their names in the file and their shapes."""

    a: str
    b: str
    rank: int
    inputs: int
    outputs: int
    scaling: float
    embedding: bool


@dataclass(frozen=True)
class Adapter:
    """An adapter's folder, what it was made for, and its pairs by the names of the base's layers."""

    folder: Path
    base: str
    pairs: Mapping[str, Pair] = field(repr=False)

    @property
    def elements(self) -> int:
        """Of all its matrices."""
        return sum(pair.rank * (pair.inputs + pair.outputs) for pair in self.pairs.values())


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """A model's folder, and the folder of an adapter for it."""

    base: Path
    adapter: Path


Files = Path | AdapterFiles
"""What a listed model is loaded from."""


def parts(name: str) -> tuple[str, str | None]:
    """A listed model's base, and its adapter if it is named `base + adapter`. Raises LoadFailed."""
    base, *adapters = JOIN.split(name.strip())
    if len(adapters) > 1 or not base or "" in adapters:
        raise LoadFailed("a model with an adapter is named `base + adapter`, with one adapter")
    return base, adapters[0] if adapters else None


def check_description(path: Path) -> dict[str, Any]:
    """An adapter's adapter_config.json. Raises LoadFailed for what can't be done truly."""
    described = read_json(path)
    _check_options(described)
    return described


def inspect(folder: Path) -> Adapter:
    """Reads an adapter's description and the header of its weights. Raises LoadFailed for what can't be done truly."""
    described = check_description(folder / CONFIG)
    check_link(folder / WEIGHTS)
    tensors = safetensors_header.read(folder / WEIGHTS)
    found: dict[str, dict[str, tuple[str, Tensor]]] = {}
    for name, tensor in tensors.items():
        ending = next((each for each in ENDINGS if name.endswith(each)), None)
        if ending is None or not name.startswith(PREFIX) or tensor.kind not in FLOATS or len(tensor.shape) != 2:
            raise LoadFailed(f"the adapter has {short(name)}, which is no matrix of a LoRA layer; {MERGE}")
        layer = name.removeprefix(PREFIX).removesuffix(ending)
        found.setdefault(layer, {})[ENDINGS[ending] + ("e" if "embedding" in ending else "")] = name, tensor
    if not found:
        raise LoadFailed(f"the adapter's {WEIGHTS} has no tensors")
    pairs = {layer: _pair(layer, found[layer], described) for layer in sorted(found)}
    _check_targets(described.get("target_modules"), pairs)
    base = described.get("base_model_name_or_path")
    return Adapter(folder, base if isinstance(base, str) else "", pairs)


def _check_options(described: Mapping[str, Any]) -> None:
    if described.get("peft_type") != "LORA":
        raise LoadFailed(f"the adapter is of type {short(repr(described.get('peft_type')))}; only LORA is supported")
    if described.get("task_type") not in (None, "CAUSAL_LM"):
        raise LoadFailed(f"the adapter is for {short(repr(described['task_type']))}, not for CAUSAL_LM")
    if described.get("bias", "none") != "none":
        raise LoadFailed(f"the adapter has biases of its own (bias: {short(repr(described['bias']))}); {MERGE}")
    start = described.get("init_lora_weights", True)
    if not any(start is each or (isinstance(each, str) and start == each) for each in STARTS):
        raise LoadFailed(
            f"the adapter was begun with {short(repr(start))}, which changes the base's weights too; convert it to "
            "plain LoRA with PEFT, or merge it"
        )
    for name, value in described.items():
        if name not in NEUTRAL and value not in (None, False, [], {}, ""):
            raise LoadFailed(f"the adapter uses {NAMED.get(name, short(name))}, which is not supported; {MERGE}")


def _pair(layer: str, found: Mapping[str, tuple[str, Tensor]], described: Mapping[str, Any]) -> Pair:
    embedding = "ae" in found or "be" in found
    a, b = found.get("ae" if embedding else "a"), found.get("be" if embedding else "b")
    if a is None or b is None or len(found) != 2:
        raise LoadFailed(f"the adapter has only one of the two matrices for {short(layer)}; download it again")
    (rank, inputs), (outputs, inner) = a[1].shape, b[1].shape
    stated = _of_layer(layer, described, "rank_pattern", "r", 8)
    if rank != inner or rank != stated or rank < 1:
        raise LoadFailed(
            f"the adapter's matrices for {short(layer)} have ranks {rank} and {inner}, its {CONFIG} says "
            f"{short(str(stated))}"
        )
    alpha = _of_layer(layer, described, "alpha_pattern", "lora_alpha", 8)
    rslora = described.get("use_rslora") is True
    return Pair(a[0], b[0], rank, inputs, outputs, alpha / (rank**0.5 if rslora else rank), embedding)


def _of_layer(layer: str, described: Mapping[str, Any], pattern: str, plain: str, default: float) -> float:
    """A number that may be stated per layer, by patterns of their names as PEFT reads them: the first that fits."""
    stated = described.get(pattern) or {}
    if not isinstance(stated, Mapping):
        raise LoadFailed(f"{CONFIG} says {pattern}: {short(repr(stated))}; it has to be an object")
    value = next((each for key, each in stated.items() if _fits(key, layer, pattern)), described.get(plain, default))
    if type(value) not in (int, float) or not 0 <= value < 1e6:
        raise LoadFailed(f"{CONFIG} says {plain}: {short(repr(value))}; it has to be a number from 0 to a million")
    return float(value)


def _fits(key: str, layer: str, where: str) -> bool:
    """Whether a pattern fits a name. Raises LoadFailed for those that could take long to find out."""
    if len(key) > MAX_PATTERN or re.search(r"[(){}]|\\\d", key) or len(re.findall(r"[*+?]", key)) > 3:
        raise LoadFailed(f"{CONFIG} has a pattern in {where} that is too complex: {short(key)}")
    try:
        return re.match(rf"(.*\.)?({key})$", layer) is not None
    except re.error as broken:
        raise LoadFailed(f"{CONFIG} has an invalid pattern in {where}: {short(key)}") from broken


def _check_targets(targets: Any, pairs: Mapping[str, Pair]) -> None:
    """Raises LoadFailed if a layer that the adapter is said to change has no matrices, or another one has some."""
    if not isinstance(targets, list) or not all(isinstance(each, str) for each in targets):
        return  # a pattern
    for target in targets:
        if not any(layer == target or layer.endswith(f".{target}") for layer in pairs):
            raise LoadFailed(f"the adapter's weights lack {short(target)}, which its {CONFIG} names; download it again")
    for layer in pairs:
        if not any(layer == target or layer.endswith(f".{target}") for target in targets):
            raise LoadFailed(f"the adapter has matrices for {short(layer)}, which its {CONFIG} does not name")
