"""From a model's name to a folder with its files: a local one, or a copy from the Hugging Face Hub.

The files lie in the Hub's own cache, so other tools share them; where in it is decided here, never by what the Hub
says. Knows no models and no states.
"""

import contextlib
import errno
import logging
from collections.abc import Callable
from pathlib import Path

import httpx2
import structlog
from huggingface_hub import HfApi, constants, get_cached_repo_tree, hf_hub_url
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import _create_symlink, repo_folder_name
from huggingface_hub.utils._validators import validate_repo_id

from inference_server.errors import LoadFailed
from inference_server.models import repo_files
from inference_server.models.checkpoint import CONFIG, INDEX, QUANTISED, check_link, is_inside, shards
from inference_server.models.download import ask_for_space, fetch_blob, missing
from inference_server.models.repo_files import ADAPTER, File, Listing

API_TIMEOUT_S = 10.0  # a question to the Hub; a silence in a download is bounded by HF_HUB_DOWNLOAD_TIMEOUT, also 10 s
CHUNK_BYTES = 1 << 20  # the library's 10 MiB would show a slow download in jumps and lose as much at a cut

logger = structlog.get_logger()


def fetch(source: str, on_progress: Callable[[int, int], None], accept: Callable[[Path], object]) -> Path:
    """The folder that holds a model's files: a local one, else the Hub's owner/name or owner/name@revision.

    A folder without any file of a model does not hide a model of the Hub. `on_progress` is called with the bytes done
    and in all, and may raise to end the download. `accept` is shown the config.json before gigabytes follow, and may
    raise LoadFailed, as this does.
    """
    folder, beside = Path(source).expanduser(), ""
    check_link(folder)
    if folder.is_dir():
        names = [path.name for path in folder.iterdir()]
        if not is_id(source) or any(name == CONFIG or name.endswith(".safetensors") for name in names):
            return local(source, folder, names)
        beside = f"; the folder {source} in the working directory holds no model either"
        logger.warning("a folder of that name holds no model: asking the Hub", model=source, names=sorted(names)[:5])
    repo, revision = split(source)
    try:
        validate_repo_id(repo)
        return download(repo, revision, on_progress, accept)
    except LoadFailed as failed:
        raise LoadFailed(f"{failed}{beside}") from failed
    except (httpx2.HTTPError, HFValidationError, OSError) as error:
        reason = explain(error, repo)
        if (copy := cached(repo, revision)) is None:
            raise LoadFailed(f"{reason}{beside}") from error
        logger.warning("using the copy in the cache", model=source, reason=reason)
        return copy


def split(source: str) -> tuple[str, str | None]:
    """The repository and the branch, tag or commit, if one is named. Raises LoadFailed for what can be none."""
    repo, named, revision = source.partition("@")
    if named and not is_inside(revision):
        raise LoadFailed(f"@{revision} is no branch, tag or commit: write owner/name@revision")
    return repo, revision if named else None


def is_id(source: str) -> bool:
    """Whether a name could be one of the Hub's."""
    try:
        validate_repo_id(split(source)[0])
    except (HFValidationError, LoadFailed):
        return False
    return True


def local(source: str, folder: Path, names: list[str]) -> Path:
    """A folder of this machine that holds a model. Raises LoadFailed where it does not."""
    try:
        if repo_files.is_adapter(names):
            repo_files.check_adapter(folder / ADAPTER)
        for name in repo_files.choose(names):
            check_link(folder / name)
    except LoadFailed as failed:
        where = f"in the folder {source} of the working directory: " if is_id(source) else ""
        raise LoadFailed(f"{where}{failed}") from failed
    return folder


def download(
    repo: str, revision: str | None, on_progress: Callable[[int, int], None], accept: Callable[[Path], object]
) -> Path:
    """Brings a repository's model into the Hub's cache and returns the snapshot's folder."""
    on_progress(0, 0)
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    logging.getLogger("huggingface_hub").handlers.clear()  # its lines reach our log without its own printing
    found = listed(repo, revision)
    storage = _storage(repo)
    snapshot, blobs = storage / "snapshots" / found.commit, storage / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)

    def bring(name: str, on_bytes: Callable[[int], None] = lambda _: None) -> Path:
        pointer = snapshot / name
        if pointer.is_file():  # a commit's file never changes
            on_bytes(pointer.stat().st_size)
        else:
            blob = fetch_blob(hf_hub_url(repo, name, revision=found.commit), found.files[name], blobs, on_bytes)
            pointer.parent.mkdir(parents=True, exist_ok=True)
            _create_symlink(str(blob), str(pointer))
        return pointer

    def shown(file: File, before: int) -> Callable[[int], None]:
        return lambda count: on_progress(before + (count if file.id else 0), total)

    if repo_files.is_adapter(found.files):
        repo_files.check_adapter(bring(ADAPTER) if ADAPTER in found.files else snapshot / ADAPTER)
    weights, *wanted = repo_files.choose(found.files)
    if QUANTISED in found.files:
        bring(QUANTISED)
    accept(bring(CONFIG))
    wanted += [weights] if weights != INDEX else [INDEX, *repo_files.weight_files(bring(INDEX), found.files)]
    files = [found.files[name] for name in wanted]
    total = sum(file.size or 0 for file in files if file.id)  # others come without progress
    ask_for_space(sum(missing(file, blobs) for file in files), blobs)
    before = 0
    for file in files:  # the weights last: without them no copy counts as complete
        bring(file.name, shown(file, before))
        before += (file.size or 0) if file.id else 0
    if not repo_files.is_commit(revision):
        _remember(storage / "refs" / (revision or constants.DEFAULT_REVISION), found.commit)
    return snapshot


def listed(repo: str, revision: str | None) -> Listing:
    """What the Hub lists at a revision. Raises LoadFailed where its answer makes no sense."""
    try:
        found = repo_files.read(HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=API_TIMEOUT_S))
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, HFValidationError | OSError):
            raise
        raise LoadFailed("the Hub's answer can't be read: load it again in a while") from error
    if repo_files.is_commit(revision) and found.commit != revision:
        raise LoadFailed("the Hub answers with another commit than the one asked for")
    return found


def cached(repo: str, revision: str | None) -> Path | None:
    """The complete copy of a model that the Hub's cache holds, if it holds one."""
    try:
        storage = _storage(repo)
        ref = storage / "refs" / (revision or constants.DEFAULT_REVISION)
        commit = revision if revision and repo_files.is_commit(revision) else ref.read_text().strip()
        if not repo_files.is_commit(commit):
            return None
        folder = storage / "snapshots" / commit
        wanted = repo_files.choose(path.name for path in folder.iterdir())
        if INDEX in wanted:
            wanted += shards(folder / INDEX)
        # Other tools keep a list of what belongs there; what we fetch is complete once its weights are there.
        with contextlib.suppress(CachedRepoTreeNotFoundError):
            wanted += repo_files.choose(file.path for file in get_cached_repo_tree(repo, revision=commit))
    except (OSError, ValueError, LoadFailed):
        return None
    return folder if all((folder / name).is_file() for name in wanted) else None


def _storage(repo: str) -> Path:
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model")


def _remember(ref: Path, commit: str) -> None:
    """Notes which commit a branch or tag was."""
    ref.parent.mkdir(parents=True, exist_ok=True)
    if not ref.exists() or ref.read_text() != commit:
        written = ref.with_name(f"{ref.name}.partial")
        written.write_text(commit)
        written.replace(ref)


def explain(error: Exception, repo: str) -> str:
    """Why a repository can't be had and what to do, in words."""
    match error:
        case HFValidationError():
            return "neither a folder here nor a Hub id such as owner/name: check the name"
        case GatedRepoError():
            return f"gated: accept its terms at {constants.ENDPOINT}/{repo} and set HF_TOKEN to a token of yours"
        case RepositoryNotFoundError():
            return "not in the Hub or private: check the name, or set HF_TOKEN to a token that may read it"
        case RevisionNotFoundError():
            return f"no such branch, tag or commit: check what follows the @, or see {constants.ENDPOINT}/{repo}"
        case HfHubHTTPError() if error.response.status_code in (401, 403, 404):
            return "not in the Hub or private: check the name, or set HF_TOKEN to a token that may read it"
        case HfHubHTTPError():
            return f"the Hub answered {error.response.status_code}: load it again in a while"
        case OfflineModeIsEnabled():
            return "no network: HF_HUB_OFFLINE is set and the cache holds no complete copy; unset it or fetch one first"
        case httpx2.HTTPError() | LocalEntryNotFoundError():
            return f"no network: {constants.ENDPOINT} can't be reached; check the connection and load it again"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return "disk full: make room in the Hub's cache, or set HF_HOME to another place"
        case OSError(filename=str() as path, strerror=str() as fault):
            return (
                f"can't write the Hub's cache ({Path(path).name}: {fault}); set HF_HOME to a place that can be written"
            )
        case _:
            return f"the download failed: {error}"[:300]
