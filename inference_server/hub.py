"""From a model's name to a folder with its files: a local one, or a copy from the Hugging Face Hub.

Downloads keep their partial files: a cut is resumed where it happened, within a call and by the next one. The files lie
in the Hub's own cache, so other tools share them. Knows no models and no states.
"""

import errno
import fnmatch
import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx2
import structlog
from huggingface_hub import HfApi, constants, get_cached_repo_tree, hf_hub_download, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils._fixes import WeakFileLock
from huggingface_hub.utils._headers import build_hf_headers
from tqdm.auto import tqdm

from inference_server.checkpoint import INDEX, SINGLE
from inference_server.errors import LoadFailed

API_TIMEOUT_S = 10.0  # a question to the Hub; a silence in a download is bounded by HF_HUB_DOWNLOAD_TIMEOUT, also 10 s
GIVE_UP_S = 60.0  # a download that brings nothing for so long has failed; the next one goes on from what it brought
RETRY_S = 1.0
CHUNK_BYTES = 1 << 20  # the library's 10 MiB would show a slow download in jumps and lose as much at a cut

CONFIG = "config.json"
SHARDS = "model*.safetensors"
DESCRIPTIONS = (
    CONFIG,
    "generation_config.json",
    "tokenizer*.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece*.model",
    "*.tiktoken",
    "chat_template*.json",
    "chat_template*.jinja",
)

logger = structlog.get_logger()


def fetch(source: str, on_progress: Callable[[int, int], None], accept: Callable[[Path], None]) -> Path:
    """The folder that holds a model's files, fetched from the Hub where `source` is not a folder.

    `on_progress` is called with the bytes done and in all, and may raise to end the download. `accept` is shown the
    config.json before gigabytes follow, and may raise LoadFailed, as this does.
    """
    if (folder := Path(source).expanduser()).is_dir():
        choose(path.name for path in folder.iterdir())
        return folder
    try:
        return download(source, on_progress, accept)
    except (httpx2.HTTPError, HFValidationError, OSError) as error:
        reason = explain(error, source)
        if (copy := cached(source)) is None:
            raise LoadFailed(reason) from error
        logger.warning("using the copy in the cache", model=source, reason=reason)
        return copy


def choose(names: Iterable[str]) -> list[str]:
    """Of a repository's files those a model is loaded from: weights once, as safetensors, and what describes them.

    Raises LoadFailed where there are no such weights or nothing describes them.
    """
    names = list(names)
    weights = [SINGLE] if SINGLE in names else []
    if not weights and INDEX in names:
        weights = [INDEX, *fnmatch.filter(names, SHARDS)]
    if not weights:
        raise LoadFailed("no safetensors weights: choose a model with model.safetensors, or convert this one")
    if CONFIG not in names:
        raise LoadFailed(f"no {CONFIG}: not a model that transformers can load; choose another")
    return weights + [name for name in names if any(fnmatch.fnmatchcase(name, like) for like in DESCRIPTIONS)]


def download(repo: str, on_progress: Callable[[int, int], None], accept: Callable[[Path], None]) -> Path:
    """Brings a repository's model into the Hub's cache and returns the snapshot's folder."""
    on_progress(0, 0)
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    logging.getLogger("huggingface_hub").handlers.clear()  # its lines reach our log without its own printing
    info = HfApi().model_info(repo, files_metadata=True, timeout=API_TIMEOUT_S)
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    wanted = choose(siblings)
    accept(Path(hf_hub_download(repo, CONFIG, revision=info.sha, tqdm_class=bar())))
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model") / "blobs"
    # A mirror may tell less than the Hub: such files are left to the library below, without progress.
    files = {name: file for name in wanted if (file := siblings[name]).size and file.blob_id}
    total = sum(file.size or 0 for file in files.values())
    ask_for_space(sum(missing(file, blobs) for file in files.values()), blobs)
    before = 0
    for name, file in files.items():
        url = hf_hub_url(repo, name, revision=info.sha)
        fetch_blob(url, file, blobs, lambda count: on_progress(before + count, total))  # noqa: B023
        before += file.size or 0
    return Path(snapshot_download(repo, allow_patterns=wanted, tqdm_class=bar()))


def place_of(file: RepoSibling, blobs: Path) -> tuple[Path, Path]:
    """Where the Hub's cache expects a file's content, and where it grows until it is whole."""
    etag = file.lfs.sha256 if file.lfs else str(file.blob_id)
    return blobs / etag, blobs / f"{etag}.partial"


def missing(file: RepoSibling, blobs: Path) -> int:
    """Bytes of a file that are not in the cache."""
    there = sum(path.stat().st_size for path in place_of(file, blobs) if path.exists())
    return max(0, (file.size or 0) - there)


def fetch_blob(url: str, file: RepoSibling, blobs: Path, on_bytes: Callable[[int], None]) -> None:
    """Brings one file's content into the cache, from where an earlier attempt ended.

    Another process that fetches the same file is waited for.
    """
    size = file.size or 0
    blob, partial = place_of(file, blobs)
    if not blob.exists():
        lock = blobs.parent.parent / ".locks" / blobs.parent.name / f"{blob.name}.lock"  # the one the library takes
        lock.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            if not blob.exists():
                with partial.open("ab") as content:
                    if content.tell() > size:
                        content.truncate(0)
                    receive(url, content, size, bar(on_bytes))
                verify(partial, file)
                partial.rename(blob)
    on_bytes(size)


def receive(url: str, content: Any, size: int, progress: Any) -> None:
    """Appends what is missing of a file, asking for the rest after each cut until nothing has come for a while."""
    last = time.monotonic()
    while (held := content.tell()) < size:
        try:
            http_get(
                url, content, resume_size=held, headers=build_hf_headers(), expected_size=size, tqdm_class=progress
            )
        except httpx2.TransportError as error:
            if content.tell() > held:
                last = time.monotonic()
            elif time.monotonic() - last > GIVE_UP_S:
                raise
            logger.warning("download cut; going on", url=url, bytes=content.tell(), reason=str(error))
            time.sleep(RETRY_S)


def bar(on_bytes: Callable[[int], None] = lambda _: None) -> Any:
    """A progress bar for the Hub's library that draws nothing and tells how many bytes of its file are there."""

    class Bar(tqdm):
        n: float  # bytes of the file that are there

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            on_bytes(int(self.n))

    return Bar


def ask_for_space(needed: int, folder: Path) -> None:
    """Raises LoadFailed where a download would not fit."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LoadFailed(f"disk full: needs {needed / 1e6:.0f} MB in {folder}, which has {free / 1e6:.0f} MB free")


def verify(partial: Path, file: RepoSibling) -> None:
    """Discards a file that is not what the Hub says it is, and raises LoadFailed."""
    if not file.lfs:
        return
    with partial.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.lfs.sha256:
        partial.unlink()
        raise LoadFailed(f"{file.rfilename} arrived damaged and was discarded; load the model again")


def cached(repo: str) -> Path | None:
    """The complete copy of a model that the Hub's cache holds, if it holds one."""
    try:
        wanted = choose(file.path for file in get_cached_repo_tree(repo))
    except CachedRepoTreeNotFoundError:  # an older tool fetched it and kept no list
        wanted = None
    except (HFValidationError, LoadFailed):
        return None
    try:
        folder = Path(snapshot_download(repo, allow_patterns=wanted, local_files_only=True))
        choose(path.name for path in folder.iterdir())
    except (LocalEntryNotFoundError, LoadFailed):
        return None
    return folder


def explain(error: Exception, repo: str) -> str:
    """Why a repository can't be had and what to do, in words."""
    match error:
        case HFValidationError():
            return "neither a folder here nor a Hub id such as owner/name: check the name"
        case GatedRepoError():
            return f"gated: accept its terms at {constants.ENDPOINT}/{repo} and set HF_TOKEN to a token of yours"
        case RepositoryNotFoundError():
            return "not in the Hub or private: check the name, or set HF_TOKEN to a token that may read it"
        case HfHubHTTPError() if error.response.status_code in (401, 403, 404):
            return "not in the Hub or private: check the name, or set HF_TOKEN to a token that may read it"
        case HfHubHTTPError():
            return f"the Hub answered {error.response.status_code}: load it again in a while"
        case OfflineModeIsEnabled():
            return "no network: HF_HUB_OFFLINE is set and the cache holds no complete copy; unset it or fetch one first"
        case httpx2.HTTPError() | LocalEntryNotFoundError():
            return f"no network: {constants.ENDPOINT} can't be reached; check the connection and load it again"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"disk full: make room in {constants.HF_HUB_CACHE} or set HF_HOME to another place"
        case OSError(filename=str() as path, strerror=str() as fault):
            return f"can't write {path}: {fault}; set HF_HOME to a place that can be written"
        case _:
            return f"the download failed: {error}"[:300]
