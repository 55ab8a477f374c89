"""Resolves a model's name to a folder with its files: a local folder, or a download from the Hugging Face Hub.

Downloads go to the Hub's standard cache, shared with other tools; paths in it never depend on unchecked Hub data.
"""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import httpx2
import structlog
from huggingface_hub import HfApi, constants, get_cached_repo_tree, hf_hub_url
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    HFValidationError,
)
from huggingface_hub.file_download import _create_symlink, repo_folder_name
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # no __all__

from inference_server.errors import LoadFailed
from inference_server.models import gguf_header, hub_failures, repo_files
from inference_server.models.checkpoint import CONFIG, INDEX, QUANTISED, check_link, is_inside, shards
from inference_server.models.download import check_space, fetch_blob, missing
from inference_server.models.gguf_header import SUFFIX
from inference_server.models.repo_files import ADAPTER, File, Listing

WEIGHTS = (".safetensors", SUFFIX)
API_TIMEOUT_S = 10.0  # of an API call; stalled downloads have HF_HUB_DOWNLOAD_TIMEOUT, also 10 s
CHUNK_BYTES = 1 << 20  # huggingface_hub's 10 MiB make progress jumpy, and an interruption loses a whole chunk

logger = structlog.get_logger()


def fetch(source: str, on_progress: Callable[[int, int], None], accept: Callable[[Path], object]) -> Path:
    """The folder of a model: a local path, owner/name or owner/name@revision. Raises LoadFailed.

    Of a GGUF file, a local path or owner/name:file.gguf, it is the file's own path. A local folder without model files
    does not shadow a Hub model. `on_progress` gets the bytes done and in total, and may raise to cancel. `accept` gets
    the path of config.json before the weights are downloaded, and may raise LoadFailed.
    """
    folder, hint = Path(source).expanduser(), ""
    check_link(folder)
    if gguf_header.is_file(folder):
        return folder
    if folder.is_dir():
        names = [path.name for path in folder.iterdir()]
        if not is_hub_id(source) or any(name == CONFIG or name.endswith(WEIGHTS) for name in names):
            return local(source, folder, names)
        hint = f"; the local folder {source} contains no model either"
        logger.warning("local folder contains no model; trying the Hub", model=source, names=sorted(names)[:5])
    place, _, file = source.partition(":")
    if not is_inside(file or SUFFIX) or not (file or SUFFIX).endswith(SUFFIX):
        raise LoadFailed(f":{file} is no GGUF file: use owner/name:file.gguf")
    if place.endswith(SUFFIX):
        raise LoadFailed("no such file: check the path; on the Hub, a GGUF file is owner/name:file.gguf")
    repo, revision = split(place)
    try:
        validate_repo_id(repo)
        return download(repo, revision, on_progress, accept, file)
    except LoadFailed as failed:
        raise LoadFailed(f"{failed}{hint}") from failed
    except (httpx2.HTTPError, HFValidationError, OSError) as error:
        reason = hub_failures.explain(error, repo)
        if (copy := cached(repo, revision, file)) is None:
            raise LoadFailed(f"{reason}{hint}") from error
        logger.warning("using the cached copy", model=source, reason=reason)
        return copy


def split(source: str) -> tuple[str, str | None]:
    """The repository and the branch, tag or commit, if given. Raises LoadFailed."""
    repo, at, revision = source.partition("@")
    if at and not is_inside(revision):
        raise LoadFailed(f"@{revision} is not a branch, tag or commit: use owner/name@revision")
    return repo, revision if at else None


def is_hub_id(source: str) -> bool:
    """Whether a name could be a Hub id."""
    try:
        validate_repo_id(split(source)[0])
    except (HFValidationError, LoadFailed):
        return False
    return True


def local(source: str, folder: Path, names: list[str]) -> Path:
    """A local folder, checked for the files a model needs, or the one GGUF file in it. Raises LoadFailed."""
    try:
        if (found := repo_files.only_gguf(names)) is not None:
            check_link(folder / found)
            return folder / found
        if repo_files.is_adapter(names):
            repo_files.check_adapter(folder / ADAPTER)
        for name in repo_files.choose(names):
            check_link(folder / name)
    except LoadFailed as failed:
        where = f"in the local folder {source}: " if is_hub_id(source) else ""
        raise LoadFailed(f"{where}{failed}") from failed
    return folder


def download(
    repo: str,
    revision: str | None,
    on_progress: Callable[[int, int], None],
    accept: Callable[[Path], object],
    gguf: str = "",
    *,
    adapter: bool = False,
) -> Path:
    """Downloads a model or an adapter into the Hub's cache; returns the snapshot's folder, or one GGUF file in it."""
    on_progress(0, 0)
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    logging.getLogger("huggingface_hub").handlers.clear()  # they propagate to our log instead
    listing = list_files(repo, revision)
    storage = _storage(repo)
    snapshot, blobs = storage / "snapshots" / listing.commit, storage / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)

    def get(name: str, on_bytes: Callable[[int], None] = lambda _: None) -> Path:
        pointer = snapshot / name
        if pointer.is_file():  # files of a commit never change
            on_bytes(pointer.stat().st_size)
        else:
            blob = fetch_blob(hf_hub_url(repo, name, revision=listing.commit), listing.files[name], blobs, on_bytes)
            pointer.parent.mkdir(parents=True, exist_ok=True)
            _create_symlink(str(blob), str(pointer))
        return pointer

    def progress_of(file: File, before: int) -> Callable[[int], None]:
        return lambda count: on_progress(before + (count if file.id else 0), total)

    if gguf:
        wanted = [repo_files.check_gguf(gguf, listing.files)]
    else:
        wanted = described(get, listing, accept, snapshot, adapter=adapter)
    files = [listing.files[name] for name in wanted]
    total = sum(file.size or 0 for file in files if file.id)  # others have no progress
    check_space(sum(missing(file, blobs) for file in files), blobs)
    before = 0
    for file in files:  # the weights last: a copy counts as complete once it has them
        get(file.name, progress_of(file, before))
        before += (file.size or 0) if file.id else 0
    if not repo_files.is_commit(revision):
        _remember(storage / "refs" / (revision or constants.DEFAULT_REVISION), listing.commit)
    return snapshot / gguf if gguf else snapshot


def described(
    get: Callable[[str], Path], listing: Listing, accept: Callable[[Path], object], snapshot: Path, *, adapter: bool
) -> list[str]:
    """The files to download of a model or adapter; what describes it is downloaded and accepted first."""
    if adapter:
        wanted = repo_files.adapter_files(listing.files)
        accept(get(ADAPTER))
        return wanted
    if repo_files.is_adapter(listing.files):
        repo_files.check_adapter(get(ADAPTER) if ADAPTER in listing.files else snapshot / ADAPTER)
    weights, *wanted = repo_files.choose(listing.files)
    if QUANTISED in listing.files:
        get(QUANTISED)
    accept(get(CONFIG))
    return wanted + ([weights] if weights != INDEX else [INDEX, *repo_files.weight_files(get(INDEX), listing.files)])


def list_files(repo: str, revision: str | None) -> Listing:
    """The Hub's listing of a revision. Raises LoadFailed if it is invalid."""
    try:
        listing = repo_files.read(
            HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=API_TIMEOUT_S)
        )
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, HFValidationError | OSError):
            raise
        raise LoadFailed("invalid response from the Hub: load the model again later") from error
    if repo_files.is_commit(revision) and listing.commit != revision:
        raise LoadFailed("the Hub returned a different commit than requested")
    return listing


def cached(repo: str, revision: str | None, gguf: str = "", *, adapter: bool = False) -> Path | None:
    """A complete copy of a model, its one GGUF file or an adapter in the Hub's cache, if there is one."""
    try:
        storage = _storage(repo)
        ref = storage / "refs" / (revision or constants.DEFAULT_REVISION)
        commit = revision if revision and repo_files.is_commit(revision) else ref.read_text().strip()
        if not repo_files.is_commit(commit):
            return None
        folder = storage / "snapshots" / commit
        if gguf or adapter:
            wanted = [gguf] if gguf else repo_files.adapter_files(path.name for path in folder.iterdir())
            return folder / gguf if all((folder / name).is_file() for name in wanted) else None
        wanted = repo_files.choose(path.name for path in folder.iterdir())
        if INDEX in wanted:
            wanted += shards(folder / INDEX)
        # Other tools store a listing of the repository; our own downloads are complete once they have the weights.
        with contextlib.suppress(CachedRepoTreeNotFoundError):
            wanted += repo_files.choose(file.path for file in get_cached_repo_tree(repo, revision=commit))
    except (OSError, ValueError, LoadFailed):
        return None
    return folder if all((folder / name).is_file() for name in wanted) else None


def _storage(repo: str) -> Path:
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model")


def _remember(ref: Path, commit: str) -> None:
    """Records which commit a branch or tag points to."""
    ref.parent.mkdir(parents=True, exist_ok=True)
    if not ref.exists() or ref.read_text() != commit:
        partial = ref.with_name(f"{ref.name}.partial")
        partial.write_text(commit)
        partial.replace(ref)
