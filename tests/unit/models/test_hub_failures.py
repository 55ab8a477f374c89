"""Why a model could not be had, in words; failures that need a server: test_hub.py."""

import errno

import httpx2
import pytest
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

from inference_server.models.hub_failures import explain


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk full: free some space for the Hub's cache"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "disk full"),
        (
            OSError(errno.EACCES, "Permission denied", "/cache/blobs"),
            "can't write to the Hub's cache (blobs: Perm",
        ),
        (HFValidationError("x"), "neither a local folder nor a Hub id such as owner/name"),
        (OfflineModeIsEnabled("x"), "no network: HF_HUB_OFFLINE is set"),
        (httpx2.ConnectError("x"), "no network: can't reach "),
        (ValueError("odd"), "the download failed: odd"),
    ],
)
def test_a_failure_is_told_in_words(error: Exception, reason: str) -> None:
    assert explain(error, "owner/model").startswith(reason)
