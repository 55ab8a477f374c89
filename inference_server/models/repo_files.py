"""What a repository lists, and which of its files a model is loaded from. Knows no network, and trusts no listing.

Names and ids become paths in the cache: whatever is not plainly a name below its folder, or an id, is refused.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import CONFIG, INDEX, SINGLE, check_names, is_inside, read_json, shards
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
    """A file as it is listed; a mirror may list names alone."""

    name: str
    size: int | None = None
    """In bytes."""
    git_id: str | None = None
    """Git's hash of its content, or of what points to it where there is a sha256."""
    sha256: str | None = None

    @property
    def id(self) -> str | None:
        """What its content is called in the cache; None where that can't be said yet."""
        return None if self.size is None else self.sha256 or self.git_id


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one commit."""

    commit: str
    files: Mapping[str, File]


def read(info: Any) -> Listing:
    """What the Hub's library was told of a repository. Raises LoadFailed where it is not fit to be used."""
    if not _is(GIT_ID, info.sha):
        raise LoadFailed(f"the Hub names a commit that is none: {short(repr(info.sha))}")
    files = (_file(sibling) for sibling in info.siblings or ())
    return Listing(info.sha, {file.name: file for file in files})


def _file(sibling: Any) -> File:
    name, size = sibling.rfilename, sibling.size
    if not isinstance(name, str) or not is_inside(name):
        raise LoadFailed(f"the Hub lists {short(repr(name))}, which is no name of a file in a repository")
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    if (sibling.blob_id is not None and not _is(GIT_ID, sibling.blob_id)) or (sibling.lfs and not _is(SHA256, sha256)):
        raise LoadFailed(f"the Hub lists {short(name)} under an id that is none")
    if size is not None and not (type(size) is int and 0 <= size < 2**63):
        raise LoadFailed(f"the Hub lists {short(name)} with a size that is none")
    return File(name, size, sibling.blob_id, sha256)


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a commit's whole id."""
    return _is(GIT_ID, revision)


def _is(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def choose(names: Iterable[str]) -> list[str]:
    """Of a model's files those it is loaded from: weights once, as safetensors, and what describes them.

    Where the weights are several files, the one that names them stands for them. Raises LoadFailed where there are no
    such weights, nothing describes them, or something beside them has a say in what they mean.
    """
    names = list(names)
    check_names(names)
    weights = next((name for name in (SINGLE, INDEX) if name in names), None)
    if weights is None:
        raise LoadFailed("no safetensors weights: choose a model with model.safetensors, or convert this one")
    for name in (ADAPTER, *ADAPTER_WEIGHTS):
        if name in names:
            raise LoadFailed(
                f"an adapter ({name}) lies beside its weights, and which of both is meant can't be told: merge the "
                "adapter into the weights, or choose a model without it"
            )
    if CONFIG not in names:
        raise LoadFailed(f"no {CONFIG}: not a model that transformers can load; choose another")
    if not any(_is_like(name, (*TOKENIZERS, TIKTOKEN)) for name in names):
        found = "only tekken.json, which is not read here" if "tekken.json" in names else "none"
        raise LoadFailed(f"no tokenizer files ({found}): choose a model that ships a tokenizer.json")
    return [weights, *(name for name in names if _is_like(name, DESCRIPTIONS))]


def weight_files(index: Path, names: Iterable[str]) -> list[str]:
    """The files an index names. Raises LoadFailed where one of them is not among the model's files."""
    named = shards(index)
    for name in sorted(set(named).difference(names)):
        raise LoadFailed(f"{INDEX} names {short(name)}, which is not among the model's files; choose another model")
    return named


def is_adapter(names: Iterable[str]) -> bool:
    """Whether there is an adapter and no weights that it could be added to."""
    names = set(names)
    return not names & {SINGLE, INDEX} and bool(names & {ADAPTER, *ADAPTER_WEIGHTS})


def check_adapter(description: Path) -> NoReturn:
    """Raises LoadFailed for a lone adapter, with the model it belongs to."""
    base = read_json(description).get("base_model_name_or_path") if description.exists() else None
    named = f" for {short(base)}" if isinstance(base, str) and base else ""
    raise LoadFailed(f"not a model but an adapter (LoRA){named}: load that model, or merge both and load the result")


def _is_like(name: str, patterns: Iterable[str]) -> bool:
    return "/" not in name and any(fnmatch.fnmatchcase(name, like) for like in patterns)
