"""Downloads single files into the Hub's cache, with resume and hash verification.

A file is written to BLOB.partial and renamed once its hash is verified. If a mirror gives no hash, the blob is named
by the hash of its content.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
import structlog
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]  # no __all__
from tqdm.auto import tqdm

from inference_server.errors import LoadFailed
from inference_server.models.repo_files import File

GIVE_UP_S = 60.0  # without progress; the next attempt resumes
RETRY_S = 1.0
SPARE_BYTES = 64 << 20  # kept free on disk by files of unknown size

logger = structlog.get_logger()


def missing(file: File, blobs: Path) -> int:
    """Bytes still to download; 0 if the size is unknown."""
    if file.id is None:
        return 0
    present = sum(path.stat().st_size for path in (blobs / file.id, _partial(blobs / file.id)) if path.exists())
    return max(0, (file.size or 0) - present)


def fetch_blob(url: str, file: File, blobs: Path, on_bytes: Callable[[int], None]) -> Path:
    """Downloads a file into the cache, resuming an earlier attempt, and returns its blob.

    Calls `on_bytes` with the bytes present so far. Waits if another process is downloading the same file.
    """
    blob = blobs / (file.id or hashlib.sha256(url.encode()).hexdigest())
    if file.id is None or not blob.exists():
        lock = blobs.parent.parent / ".locks" / blobs.parent.name / f"{blob.name}.lock"  # huggingface_hub's own lock
        lock.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            if file.id is None or not blob.exists():
                partial = _partial(blob)
                with partial.open("ab") as content:
                    if file.id is None or content.tell() > (file.size or 0):
                        content.truncate(0)
                    receive(url, content, file, on_bytes)
                verify(partial, file)
                if file.id is None:
                    blob = blobs / _digest(partial, hashlib.sha256())
                partial.replace(blob)
    on_bytes(blob.stat().st_size)
    return blob


def receive(url: str, content: BinaryIO, file: File, on_bytes: Callable[[int], None]) -> None:
    """Appends the rest of a file, reconnecting after each interruption until GIVE_UP_S pass without progress."""

    def progressed(count: int) -> None:
        if file.size is None:
            check_space(SPARE_BYTES, Path(content.name).parent)
        elif count > file.size:
            raise LoadFailed(f"{file.name} is larger than the Hub says; load the model again")
        on_bytes(count)

    last, done = time.monotonic(), False
    while not done and (offset := content.tell()) != file.size:
        try:
            http_get(
                url,
                content,
                resume_size=offset,
                headers=build_hf_headers(),
                expected_size=file.size,
                tqdm_class=bar(progressed),
            )
            done = True
        except httpx2.TransportError as error:
            if content.tell() > offset:
                last = time.monotonic()
            elif time.monotonic() - last > GIVE_UP_S:
                raise
            logger.warning("download interrupted; resuming", url=url, bytes=content.tell(), reason=str(error))
            time.sleep(RETRY_S)


def bar(on_bytes: Callable[[int], None]) -> Any:
    """An invisible tqdm bar that reports the bytes present so far."""

    class Bar(tqdm):
        n: float  # bytes present

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            on_bytes(int(self.n))

    return Bar


def check_space(needed: int, folder: Path) -> None:
    """Raises LoadFailed if a download would not fit on the disk."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LoadFailed(
            f"disk full: needs {needed / 1e6:.0f} MB in the Hub's cache, {free / 1e6:.0f} MB are free; "
            "free some space, or set HF_HOME to another disk"
        )


def verify(partial: Path, file: File) -> None:
    """Deletes a file whose hash is wrong and raises LoadFailed."""
    if file.sha256 is not None:
        actual, expected = _digest(partial, hashlib.sha256()), file.sha256
    elif file.git_id is not None:
        kind = "sha1" if len(file.git_id) == 40 else "sha256"
        blob_hash = hashlib.new(kind, b"blob %d\0" % partial.stat().st_size, usedforsecurity=False)
        actual, expected = _digest(partial, blob_hash), file.git_id
    else:
        return
    if actual != expected:
        partial.unlink()
        raise LoadFailed(f"{file.name} does not match its hash on the Hub and was deleted; load the model again")


def _digest(path: Path, state: Any) -> str:
    """The digest after a file's content is added to the hash's state."""
    with path.open("rb") as content:
        while piece := content.read(1 << 20):
            state.update(piece)
    return str(state.hexdigest())


def _partial(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.partial")
