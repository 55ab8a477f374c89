"""A repository's file listing, and which of the files a model needs.

The listing is untrusted: names and ids become paths in the cache, so anything but a relative path or a hash is
rejected.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import CONFIG, INDEX, SINGLE, check_names, is_inside, read_json, shards
from inference_server.models.gguf_header import SUFFIX
from inference_server.models.safetensors_header import short

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece*.model")
TIKTOKEN = "*.tiktoken"
DESCRIPTIONS = (
    CONFIG,
    "generation_config.json",
    "tokenizer*.json",
    *TOKENIZERS,
    TIKTOKEN,
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template*.json",
    "chat_template*.jinja",
)
GIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """A listed file; mirrors may list names only."""

    name: str
    size: int | None = None
    """In bytes."""
    git_id: str | None = None
    """Git's hash of the content, or of the LFS pointer if there is a sha256."""
    sha256: str | None = None

    @property
    def id(self) -> str | None:
        """The name of its blob in the cache; None if unknown."""
        return None if self.size is None else self.sha256 or self.git_id


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one commit."""

    commit: str
    files: Mapping[str, File]


def read(info: Any) -> Listing:
    """The listing in huggingface_hub's ModelInfo. Raises LoadFailed if it is invalid."""
    if not _is(GIT_ID, info.sha):
        raise LoadFailed(f"the Hub returned an invalid commit: {short(repr(info.sha))}")
    files = (_file(sibling) for sibling in info.siblings or ())
    return Listing(info.sha, {file.name: file for file in files})


def _file(sibling: Any) -> File:
    name, size = sibling.rfilename, sibling.size
    if not isinstance(name, str) or not is_inside(name):
        raise LoadFailed(f"the Hub lists an invalid file name: {short(repr(name))}")
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    if (sibling.blob_id is not None and not _is(GIT_ID, sibling.blob_id)) or (sibling.lfs and not _is(SHA256, sha256)):
        raise LoadFailed(f"the Hub lists {short(name)} with an invalid hash")
    if size is not None and not (type(size) is int and 0 <= size < 2**63):
        raise LoadFailed(f"the Hub lists {short(name)} with an invalid size")
    return File(name, size, sibling.blob_id, sha256)


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a full commit hash."""
    return _is(GIT_ID, revision)


def _is(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def choose(names: Iterable[str]) -> list[str]:
    """The files a model needs, with the safetensors weights (or their index) first.

    Raises LoadFailed if weights, config or tokenizer are missing, or an adapter makes the weights ambiguous.
    """
    names = list(names)
    check_names(names)
    weights = next((name for name in (SINGLE, INDEX) if name in names), None)
    if weights is None and (files := gguf_files(names)):
        raise LoadFailed(f"only GGUF files: choose one, as owner/name:FILE ({_listed(files)})")
    if weights is None:
        raise LoadFailed("no safetensors weights: use a model with model.safetensors, or convert this one")
    for name in (ADAPTER, *ADAPTER_WEIGHTS):
        if name in names:
            raise LoadFailed(
                f"both model weights and an adapter ({name}): merge the adapter into the weights, or use a model "
                "without one"
            )
    if CONFIG not in names:
        raise LoadFailed(f"no {CONFIG}: not a model that transformers can load")
    if not any(_is_like(name, (*TOKENIZERS, TIKTOKEN)) for name in names):
        found = "only tekken.json, which is not supported" if "tekken.json" in names else "none"
        raise LoadFailed(f"no tokenizer files ({found}): use a model with a tokenizer.json")
    return [weights, *(name for name in names if _is_like(name, DESCRIPTIONS))]


def gguf_files(names: Iterable[str]) -> list[str]:
    """The GGUF files among names."""
    return sorted(name for name in names if name.endswith(SUFFIX))


def only_gguf(names: Iterable[str]) -> str | None:
    """The GGUF file of a folder without other weights; None: it has none. Raises LoadFailed if it has several."""
    names = list(names)
    files = gguf_files(names)
    if not files or {SINGLE, INDEX} & set(names):
        return None
    if len(files) > 1:
        raise LoadFailed(f"several GGUF files: name one by its path ({_listed(files)})")
    return files[0]


def check_gguf(name: str, names: Iterable[str]) -> str:
    """The name of a GGUF file in a repository. Raises LoadFailed if it is not there."""
    if name not in names:
        files = gguf_files(names)
        raise LoadFailed(f"no {short(name)} in the repository; " + (f"it has {_listed(files)}" if files else "no GGUF"))
    return name


def _listed(files: list[str]) -> str:
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return ", ".join(map(short, files[:5])) + more


def weight_files(index: Path, names: Iterable[str]) -> list[str]:
    """The weight files that an index lists. Raises LoadFailed if one is missing from the repository."""
    named = shards(index)
    for name in sorted(set(named).difference(names)):
        raise LoadFailed(f"{INDEX} lists {short(name)}, which is not in the repository")
    return named


def is_adapter(names: Iterable[str]) -> bool:
    """Whether there is an adapter but no model weights."""
    names = set(names)
    return not names & {SINGLE, INDEX} and bool(names & {ADAPTER, *ADAPTER_WEIGHTS})


def adapter_files(names: Iterable[str]) -> list[str]:
    """An adapter's description and weights. Raises LoadFailed if one is missing."""
    names = set(names)
    for name in (ADAPTER, ADAPTER_WEIGHTS[0]):
        if name not in names:
            pickled = f" (only {ADAPTER_WEIGHTS[1]}: pickle files can run code and are never opened)"
            raise LoadFailed(
                f"not an adapter in PEFT's format: no {name}{pickled if ADAPTER_WEIGHTS[1] in names else ''}"
            )
    return [ADAPTER, ADAPTER_WEIGHTS[0]]


def check_adapter(description: Path) -> NoReturn:
    """Raises LoadFailed, naming the adapter's base model and how to load both."""
    base = read_json(description).get("base_model_name_or_path") if description.exists() else None
    named = f" for {short(base)}" if isinstance(base, str) and base else ""
    raise LoadFailed(f"an adapter (LoRA){named}, not a model: name it `base + adapter`, with the model it was made for")


def _is_like(name: str, patterns: Iterable[str]) -> bool:
    return "/" not in name and any(fnmatch.fnmatchcase(name, like) for like in patterns)
