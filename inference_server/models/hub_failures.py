"""Why the Hub, or its cache, did not give a model, and what to do: in words."""

import errno
from pathlib import Path

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

NOT_FOUND = "not on the Hub, or private: check the name, or set HF_TOKEN to a token with access"


def explain(error: Exception, repo: str) -> str:
    """Why a download failed and what to do."""
    match error:
        case HFValidationError():
            return "neither a local folder nor a Hub id such as owner/name: check the name"
        case GatedRepoError():
            return f"gated: accept the terms at {constants.ENDPOINT}/{repo} and set HF_TOKEN to your token"
        case RepositoryNotFoundError():
            return NOT_FOUND
        case RevisionNotFoundError():
            return f"no such branch, tag or commit: check the part after @, or see {constants.ENDPOINT}/{repo}"
        case HfHubHTTPError() if error.response.status_code in (401, 403, 404):
            return NOT_FOUND
        case HfHubHTTPError():
            return f"the Hub returned HTTP {error.response.status_code}: load the model again later"
        case OfflineModeIsEnabled():
            return (
                "no network: HF_HUB_OFFLINE is set and the model is not cached; unset it, or download the model first"
            )
        case httpx2.HTTPError() | LocalEntryNotFoundError():
            return f"no network: can't reach {constants.ENDPOINT}; check the connection and load the model again"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return "disk full: free some space for the Hub's cache, or set HF_HOME to another disk"
        case OSError(filename=str() as path, strerror=str() as fault):
            return f"can't write to the Hub's cache ({Path(path).name}: {fault}); set HF_HOME to a writable folder"
        case _:
            return f"the download failed: {error}"[:300]
