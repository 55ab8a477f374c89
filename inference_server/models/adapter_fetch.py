"""Resolves an adapter's name to a folder with its two files: a local folder, or a download from the Hub."""

from collections.abc import Callable
from pathlib import Path

import httpx2
import structlog
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # no __all__

from inference_server.errors import LoadFailed
from inference_server.models import adapter, checkpoint, hub, hub_failures, repo_files

logger = structlog.get_logger()


def fetch(source: str, on_progress: Callable[[int, int], None]) -> Path:
    """The folder of an adapter, named like a model. Raises LoadFailed."""
    folder = Path(source).expanduser()
    checkpoint.check_link(folder)
    if folder.is_dir() and (not hub.is_hub_id(source) or (folder / adapter.CONFIG).exists()):
        for name in repo_files.adapter_files(path.name for path in folder.iterdir()):
            checkpoint.check_link(folder / name)
        return folder
    repo, revision = hub.split(source)
    try:
        validate_repo_id(repo)
        return hub.download(repo, revision, on_progress, adapter.check_description, adapter=True)
    except (httpx2.HTTPError, HFValidationError, OSError) as error:
        reason = hub_failures.explain(error, repo)
        if (copy := hub.cached(repo, revision, adapter=True)) is None:
            raise LoadFailed(f"the adapter {source}: {reason}") from error
        logger.warning("using the cached copy", model=source, reason=reason)
        return copy
