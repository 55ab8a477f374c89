"""A tokenizer's special tokens (BOS, EOS, padding ...) by name, from its configuration files.

They are in tokenizer_config.json or, in older models, special_tokens_map.json. If neither mentions BOS or EOS, the
default of the tokenizer's class in transformers applies, as in GPT-2.
"""

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import read_json

CONFIG = "tokenizer_config.json"
MAP = "special_tokens_map.json"
BEGIN, END = "bos_token", "eos_token"
ROLES = (BEGIN, END, "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """`names`: by role, such as bos_token. `begins`: whether to prepend BOS to texts."""

    names: Mapping[str, str] = field(default_factory=dict)
    begins: bool = False


def read(folder: Path) -> SpecialTokens:
    """A folder's special tokens; none if it has no such files. Raises LoadFailed."""
    config = read_object(folder / CONFIG)
    names = stated(config, CONFIG)
    if "added_tokens_decoder" not in config:  # then transformers ignores the map
        names |= stated(read_object(folder / MAP), MAP)
    for role in (BEGIN, END):
        if role not in names:
            names[role] = default(class_named(config, folder), role)
    begins = config.get("add_bos_token")
    if not isinstance(begins, bool | None):
        raise LoadFailed(f"{CONFIG}: add_bos_token must be true or false, not {kind(begins)}; download it again")
    return SpecialTokens({role: name for role, name in names.items() if name is not None}, bool(begins))


def read_object(path: Path) -> dict[str, Any]:
    """A file's JSON object, empty if there is no such file. Raises LoadFailed."""
    return read_json(path) if os.path.lexists(path) else {}


def stated(config: Mapping[str, Any], file: str) -> dict[str, str | None]:
    """The roles in a file, including a model's own such as image_token; None for null values."""
    names: dict[str, str | None] = {}
    for role, value in config.items():
        if role in ROLES:
            names[role] = name_of(value, f"{file}: {role}")
        elif role.endswith("_token") and isinstance(value, str):
            names[role] = value
    return names


def name_of(value: object, what: str) -> str | None:
    """A token's name, given as a string or as an object with `content`. Raises LoadFailed."""
    name: object = value.get("content") if isinstance(value, dict) else value
    if value is None:
        return None
    if isinstance(name, str):
        return name
    actual = "an object without content" if isinstance(value, dict) else kind(value)
    raise LoadFailed(f"{what} must be a token's name, not {actual}; download it again")


def default(class_name: str, role: str) -> str | None:
    """A role's default in a tokenizer class of transformers. Runs no code from the model."""
    plain = class_name.removesuffix("Fast")
    found = tokenizer_class_from_name(plain) if plain in TOKENIZER_MAPPING_NAMES.values() else None
    if found is None:
        return None
    parameter = inspect.signature(found.__init__).parameters.get(role)
    return parameter.default if parameter is not None and isinstance(parameter.default, str) else None


def class_named(config: Mapping[str, Any], folder: Path) -> str:
    """The tokenizer's class according to its own or the model's configuration; empty if unknown.

    An unreadable config.json is ignored here; loading the model reports it.
    """
    try:
        model = read_object(folder / "config.json")
    except LoadFailed:
        model = {}
    kinds = (config.get("tokenizer_class"), model.get("tokenizer_class"), by_type(model.get("model_type")))
    return next((name for name in kinds if isinstance(name, str)), "")


def by_type(model_type: object) -> str | None:
    """transformers' tokenizer class for a model type."""
    name: str | None = TOKENIZER_MAPPING_NAMES.get(model_type) if isinstance(model_type, str) else None
    return name


def kind(value: object) -> str:
    """The JSON type of a value, for messages."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def first_line(error: BaseException) -> str:
    """The first line of a library's error message."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
