"""One file from the Hub into its cache: resumed where it was cut, checked before it counts. Knows no repositories.

A file grows beside its place and moves there once its hash is right. Where a mirror tells no hash, its content's own
names the place.
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
from huggingface_hub.utils._fixes import WeakFileLock
from huggingface_hub.utils._headers import build_hf_headers
from tqdm.auto import tqdm

from inference_server.errors import LoadFailed
from inference_server.models.repo_files import File

GIVE_UP_S = 60.0  # a download that brings nothing for so long has failed; the next one goes on from what it brought
RETRY_S = 1.0
SPARE_BYTES = 64 << 20  # left on the disk by files whose size nobody tells

logger = structlog.get_logger()


def missing(file: File, blobs: Path) -> int:
    """Bytes of a file that are not in the cache, as far as its size is known."""
    if file.id is None:
        return 0
    there = sum(path.stat().st_size for path in (blobs / file.id, _partial(blobs / file.id)) if path.exists())
    return max(0, (file.size or 0) - there)


def fetch_blob(url: str, file: File, blobs: Path, on_bytes: Callable[[int], None]) -> Path:
    """Brings one file's content into the cache, from where an earlier attempt ended, and says where it lies.

    `on_bytes` is called with the bytes that are there. Another process that fetches the same file is waited for.
    """
    blob = blobs / (file.id or hashlib.sha256(url.encode()).hexdigest())
    if file.id is None or not blob.exists():
        lock = blobs.parent.parent / ".locks" / blobs.parent.name / f"{blob.name}.lock"  # the one the library takes
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
    """Appends what is missing of a file, asking for the rest after each cut until nothing has come for a while."""

    def heard(count: int) -> None:
        if file.size is None:
            ask_for_space(SPARE_BYTES, Path(content.name).parent)
        elif count > file.size:
            raise LoadFailed(f"{file.name} is longer than the Hub says; load the model again")
        on_bytes(count)

    last, done = time.monotonic(), False
    while not done and (held := content.tell()) != file.size:
        try:
            http_get(
                url,
                content,
                resume_size=held,
                headers=build_hf_headers(),
                expected_size=file.size,
                tqdm_class=bar(heard),
            )
            done = True
        except httpx2.TransportError as error:
            if content.tell() > held:
                last = time.monotonic()
            elif time.monotonic() - last > GIVE_UP_S:
                raise
            logger.warning("download cut; going on", url=url, bytes=content.tell(), reason=str(error))
            time.sleep(RETRY_S)


def bar(on_bytes: Callable[[int], None]) -> Any:
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
        raise LoadFailed(
            f"disk full: needs {needed / 1e6:.0f} MB in the Hub's cache, where {free / 1e6:.0f} MB are free; "
            "make room, or set HF_HOME to another place"
        )


def verify(partial: Path, file: File) -> None:
    """Discards a file that is not what the Hub says it is, and raises LoadFailed."""
    if file.sha256 is not None:
        found, told = _digest(partial, hashlib.sha256()), file.sha256
    elif file.git_id is not None:
        kind = "sha1" if len(file.git_id) == 40 else "sha256"
        whole = hashlib.new(kind, b"blob %d\0" % partial.stat().st_size, usedforsecurity=False)
        found, told = _digest(partial, whole), file.git_id
    else:
        return
    if found != told:
        partial.unlink()
        raise LoadFailed(f"{file.name} arrived damaged and was discarded; load the model again")


def _digest(path: Path, begun: Any) -> str:
    """The hexadecimal digest of what was begun and a file's content."""
    with path.open("rb") as content:
        while piece := content.read(1 << 20):
            begun.update(piece)
    digest: str = begun.hexdigest()
    return digest


def _partial(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.partial")
