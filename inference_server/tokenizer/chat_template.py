"""Where a model's chat template is, as transformers looks for it: chat_template.jinja, else tokenizer_config.json."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference_server.errors import LoadFailed
from inference_server.tokenizer import special_tokens

FILE = "chat_template.jinja"
MAX_BYTES = 1_000_000
DEFAULT = "default"  # of several templates in tokenizer_config.json, the one for plain chat

NONE = "this model has no chat template; send text"


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's template and the special tokens that it may name; or why there is none."""

    source: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """By role, such as bos_token."""
    missing: str = NONE
    """Why there is no template; empty if there is one."""


def read(folder: Path) -> ChatTemplate:
    """A folder's template. Never fails: a model whose template can't be read still answers everything else."""
    try:
        names = special_tokens.read(folder).names
        found = stated(folder)
    except (LoadFailed, OSError, ValueError) as error:
        return ChatTemplate(missing=f"this model's chat template can't be read ({special_tokens.first_line(error)})")
    if found is None:
        return ChatTemplate()
    if isinstance(found, str):
        size = len(found.encode(errors="surrogatepass"))
        if size > MAX_BYTES:
            return ChatTemplate(missing=f"this model's chat template has {size:,} bytes; {MAX_BYTES:,} are allowed")
        return ChatTemplate(found, names, "")
    return ChatTemplate(missing=f"this model has several chat templates, none of them named {DEFAULT}")


def stated(folder: Path) -> str | Mapping[str, Any] | None:
    """The template in the folder's files; those it has by name if none of them is the default."""
    if os.path.lexists(folder / FILE):
        return (folder / FILE).read_text(encoding="utf-8")
    given = special_tokens.read_object(folder / special_tokens.CONFIG).get("chat_template")
    if isinstance(given, list):
        given = {each.get("name"): each.get("template") for each in given if isinstance(each, dict)}
    if isinstance(given, dict):
        return given[DEFAULT] if isinstance(given.get(DEFAULT), str) else given
    if given is None or isinstance(given, str):
        return given
    raise ValueError(f"chat_template must be text, not {special_tokens.kind(given)}")
