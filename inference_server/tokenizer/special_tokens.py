"""Which tokens begin, end and fill texts, as the files beside a tokenizer say. Knows no ids, and nothing of how a text
is read.

tokenizer_config.json names them, and so does special_tokens_map.json in older folders. Where neither says anything of
a beginning or an end, the tokenizer's class in transformers may: GPT-2's own folder leaves both to it.
"""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

from inference_server.errors import LoadFailed

CONFIG = "tokenizer_config.json"
MAP = "special_tokens_map.json"
BEGIN, END = "bos_token", "eos_token"
ROLES = (BEGIN, END, "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """names: from a role, such as bos_token, to its token's name. begins: whether BOS is to stand in front."""

    names: Mapping[str, str] = field(default_factory=dict)
    begins: bool = False


def read(folder: Path) -> SpecialTokens:
    """The roles that a folder's files give, none where there are no such files.

    Raises LoadFailed, naming the file, where one is no JSON object or something other than a name stands for a token.
    """
    config = read_object(folder / CONFIG)
    names = stated(config, CONFIG)
    if "added_tokens_decoder" not in config:  # the newer form, beside which transformers reads no map
        names |= stated(read_object(folder / MAP), MAP)
    for role in (BEGIN, END):
        if role not in names:
            names[role] = default(class_named(config, folder), role)
    begins = config.get("add_bos_token")
    if not isinstance(begins, bool | None):
        raise LoadFailed(f"{CONFIG}: add_bos_token must be true or false, not {kind(begins)}; fetch it again")
    return SpecialTokens({role: name for role, name in names.items() if name is not None}, bool(begins))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty where there is no such file. Raises LoadFailed."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise LoadFailed(f"{path.name} can't be read ({first_line(error)}); fetch it again") from error
    if not isinstance(found, dict):
        raise LoadFailed(f"{path.name} is not a JSON object but {kind(found)}; fetch it again")
    return found


def stated(config: Mapping[str, Any], file: str) -> dict[str, str | None]:
    """The roles that a file speaks of, a model's own such as image_token among them; None for one it leaves empty."""
    names: dict[str, str | None] = {}
    for role, value in config.items():
        if role in ROLES:
            names[role] = name_of(value, f"{file}: {role}")
        elif role.endswith("_token") and isinstance(value, str):
            names[role] = value
    return names


def name_of(value: object, what: str) -> str | None:
    """The name of a token written as text, or as an object with its name in `content`. Raises LoadFailed."""
    name: object = value.get("content") if isinstance(value, dict) else value
    if value is None:
        return None
    if isinstance(name, str):
        return name
    inside = "an object without a name in content" if isinstance(value, dict) else kind(value)
    raise LoadFailed(f"{what} must be the name of a token, not {inside}; fetch it again")


def default(class_name: str, role: str) -> str | None:
    """The name that a class of transformers gives a role where nothing else does. No code of a model's is run."""
    plain = class_name.removesuffix("Fast")
    found = tokenizer_class_from_name(plain) if plain in TOKENIZER_MAPPING_NAMES.values() else None
    if found is None:
        return None
    parameter = inspect.signature(found.__init__).parameters.get(role)
    return parameter.default if parameter is not None and isinstance(parameter.default, str) else None


def class_named(config: Mapping[str, Any], folder: Path) -> str:
    """The tokenizer's class, by its own file or by the model's; empty where none is told.

    Whether config.json is any good is not asked here: the model's loading tells.
    """
    try:
        model = read_object(folder / "config.json")
    except LoadFailed:
        model = {}
    kinds = (config.get("tokenizer_class"), model.get("tokenizer_class"), by_type(model.get("model_type")))
    return next((name for name in kinds if isinstance(name, str)), "")


def by_type(model_type: object) -> str | None:
    """The class that transformers uses for a type of model."""
    name: str | None = TOKENIZER_MAPPING_NAMES.get(model_type) if isinstance(model_type, str) else None
    return name


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    words = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return words.get(type(value), "a number")


def first_line(error: BaseException) -> str:
    """The gist of a library's error."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
