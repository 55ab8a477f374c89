"""Checks a model's config.json before its weights are downloaded or opened.

transformers lets a configuration name files, packages and repositories whose code it then runs, and overwrite parts of
its own classes. All of that is refused by name here, whether or not it would work on this machine.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedConfig
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING, AutoHfQuantizer

from inference_server.errors import LoadFailed
from inference_server.models import checkpoint
from inference_server.models.safetensors_header import short
from inference_server.runtime import network_class, packed_checkpoint
from inference_server.runtime.packed_checkpoint import PLAIN

MOST = {"layer": 10_000, "layers": 10_000, "labels": 100_000}  # transformers builds lists of these while it reads them
ATTENTION = (None, "eager", "sdpa")
EXPERTS = (None, "eager", "batched_mm", "grouped_mm")
ASKED = {  # names of code, and the values that are transformers' own and download nothing
    **dict.fromkeys(("attn_implementation", "_attn_implementation", "_attn_implementation_internal"), ATTENTION),
    **dict.fromkeys(("experts_implementation", "_experts_implementation", "_experts_implementation_internal"), EXPERTS),
}
ELSEWHERE = {
    "transformers_weights": "its own weights file",
    "configuration_files": "other configuration files",
    "fusion_config": "fused modules",
    "kernel_config": "kernels",
    "use_kernels": "kernels",
    "distributed_config": "a distribution over machines",
}
SETTABLE = {  # attributes of transformers' class that are meant to be set
    *(each.name for each in fields(PreTrainedConfig)),
    *("model_type", "num_labels", "torch_dtype", "name_or_path", "output_attentions", "rope_scaling"),
    *("per_layer_config", "use_return_dict", *ASKED),
}
DEQUANTIZED = {"fp8": "FP8", "mxfp8": "MXFP8", "mxfp4": "MXFP4", "compressed-tensors": "compressed-tensors"}
"""Formats that become plain numbers on loading, and their names; otherwise transformers would download kernels."""
FETCHING = {"eetq", "fbgemm_fp8", "gguf", "metal", "nvfp4"}  # computed with kernels that transformers downloads
UNPROVEN = {"bitnet", "gemma", "sinq"}  # they need no package, and keep or round more than their weights


def check_architecture(config: Mapping[str, Any]) -> None:
    """Raises LoadFailed unless transformers' own code has this causal LM. `config` is config.json's content."""
    kind = str(config.get("model_type"))
    if kind not in transformers.CONFIG_MAPPING:
        if "auto_map" in config:
            raise LoadFailed("it requires custom code (auto_map in config.json), which this server never runs")
        raise LoadFailed(f"transformers {transformers.__version__} does not know its model_type, {short(kind)!r}")
    network_class.check_kind(kind)
    for part in _parts(config):
        _check_part(part)
    _check_numbers(config)


def configuration(folder: Path) -> PreTrainedConfig:
    """A folder's configuration as transformers reads it. Raises LoadFailed if it can't be read, or must not be."""
    check_architecture(checkpoint.read_json(folder / checkpoint.CONFIG))
    try:
        config: PreTrainedConfig = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        text = config.get_text_config(decoder=True)
    except Exception as error:  # whatever transformers raises for bad values
        raise LoadFailed(f"transformers can't read its config.json: {one_line(error)}") from error
    if config.is_encoder_decoder or text.is_encoder_decoder:
        raise LoadFailed("not a causal LM: an encoder-decoder, whose decoder needs an encoder's input")
    layers = getattr(text, "num_hidden_layers", 1)
    if not isinstance(layers, int) or layers < 1:
        raise LoadFailed(f"config.json says num_hidden_layers: {short(repr(layers))}; a model has at least one")
    for each in (config, text):
        if each._attn_implementation not in ATTENTION or each._experts_implementation not in EXPERTS:
            raise LoadFailed("config.json names an implementation that is not transformers' own")
    _check_quantizer(config, text)
    if quantizer_of(config) is None and (folder / checkpoint.QUANTISED).exists():
        raise LoadFailed(
            f"its weights are quantised ({checkpoint.QUANTISED}) in a way that can't be read here; {PLAIN}"
        )
    return config


def guesses_ahead(config: PreTrainedConfig) -> bool:
    """Whether the weights include multi-token prediction layers, which transformers ignores."""
    described = config.get_text_config(decoder=True).to_dict()
    return any(("nextn" in name or "mtp" in name) and bool(value) for name, value in described.items())


def quantizer_of(config: PreTrainedConfig) -> Mapping[str, Any] | None:
    """The weights' quantisation as config.json describes it; None: none."""
    for each in (config, config.get_text_config(decoder=True)):
        if (found := getattr(each, "quantization_config", None)) is not None:
            return found if isinstance(found, Mapping) else found.to_dict()
    return None


def without_quantizer(config: PreTrainedConfig) -> PreTrainedConfig:
    """The configuration of the same network with plain weights."""
    plain = copy.deepcopy(config)
    for each in (plain, plain.get_text_config(decoder=True)):
        if hasattr(each, "quantization_config"):
            del each.quantization_config
    return plain


def format_of(config: PreTrainedConfig) -> str:
    """What users call the way the files hold the weights; empty: plain numbers."""
    described = quantizer_of(config)
    if described is None:
        return ""
    method = packed_checkpoint.method_of(described)
    inner = described.get("format")
    named = (DEQUANTIZED | packed_checkpoint.FORMATS).get(method, method)
    return f"{named} ({short(inner)})" if method == "compressed-tensors" and isinstance(inner, str) else named


def is_image_text(config: PreTrainedConfig) -> bool:
    """Whether a configuration's network also takes images."""
    return network_class.is_image_text(config)


def one_line(error: Exception) -> str:
    """A library's error, shortened."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _parts(config: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """A configuration and those nested in it."""
    if isinstance(config, Mapping):
        yield config
        for name, value in config.items():
            if depth or name.endswith("config"):
                yield from _parts(value, depth + (name == "per_layer_config"))
    elif isinstance(config, list):
        for value in config:
            yield from _parts(value, depth)


def _check_part(part: Mapping[str, Any]) -> None:
    """Raises LoadFailed if a configuration names code, or files that change what is loaded."""
    for name, value in part.items():
        if name in ASKED:
            for each in value.values() if isinstance(value, Mapping) else [value]:
                if not (each is None or isinstance(each, str)) or each not in ASKED[name]:
                    allowed = ", ".join(filter(None, ASKED[name]))
                    raise LoadFailed(f"config.json asks for {name} {short(repr(each))}; only {allowed} are supported")
        elif name in ELSEWHERE:
            if value is not None:
                raise LoadFailed(f"config.json names {ELSEWHERE[name]} ({name}), which is not supported")
        elif hasattr(PreTrainedConfig, name) and name not in SETTABLE:
            raise LoadFailed(f"config.json sets {short(name)}, which is internal to transformers")


def _check_numbers(value: Any, name: str = "") -> None:
    """Raises LoadFailed for impossibly large counts, which transformers would build lists of."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            _check_numbers(each, key)
    elif isinstance(value, list):
        for each in value:
            _check_numbers(each, name)
    elif isinstance(value, int | float):
        most = MOST.get(name.rpartition("_")[2], math.inf)
        if value > most:
            raise LoadFailed(f"config.json says {short(name)}: {short(str(value))}; the limit here is {most:,}")


def _check_quantizer(config: PreTrainedConfig, text: PreTrainedConfig) -> None:
    """Raises LoadFailed if the weights' quantiser can't be used here; others are set to dequantise on loading."""
    described = quantizer_of(config)
    if described is None:
        return
    method = packed_checkpoint.method_of(described)
    if method in packed_checkpoint.FORMATS:
        packed_checkpoint.check(described)
        return
    if method in FETCHING:
        raise LoadFailed(f"its weights are quantised ({method}) for kernels that would have to be downloaded; {PLAIN}")
    if method in UNPROVEN:
        raise LoadFailed(f"its weights are quantised ({method}) in a way whose numbers are not proven here; {PLAIN}")
    if method not in AUTO_QUANTIZER_MAPPING:
        raise LoadFailed(
            f"its weights are quantised ({short(method)}) in a way transformers {transformers.__version__} can't read; "
            f"{PLAIN}"
        )
    for each in (config, text) if method in DEQUANTIZED else ():
        if isinstance(stated := getattr(each, "quantization_config", None), dict):
            stated["dequantize"] = True
    try:
        quantizer = AutoHfQuantizer.from_config(dict(quantizer_of(config) or {}), pre_quantized=True)
        quantizer.validate_environment(device_map=None, weights_only=True)
    except Exception as error:  # whatever a quantiser is missing
        raise LoadFailed(
            f"its weights are quantised ({short(method)}), which can't be read: {one_line(error)}; {PLAIN}"
        ) from error
