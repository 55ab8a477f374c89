"""The operator's files, reloaded when they change."""

import os
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

from service_kit.settings import SettingsError, variable

T = TypeVar("T")

logger = structlog.get_logger()


def content(field: str, path: str) -> bytes:
    """A file's bytes. Raises SettingsError, naming the setting."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SettingsError(f"{variable(field)}={path!r}: {os.strerror(error.errno or 0)}") from error


class WatchedFile(Generic[T]):
    """A value read from files and reloaded on request. Invalid files leave the last good value in use."""

    def __init__(self, paths: Sequence[str], read: Callable[[], T]) -> None:
        """Raises SettingsError if `read` does."""
        self._paths = paths
        self._read = read
        self._seen = self._state()
        self._last_error = ""
        self.value = read()

    def renewed(self) -> bool:
        """Reloads changed files; returns whether the value changed.

        After a failure it retries each time: a fix of permissions, for example, doesn't change the file.
        """
        state = self._state()
        if state == self._seen:
            self._last_error = ""
            return False
        try:
            value = self._read()
        except SettingsError as error:
            if str(error) != self._last_error:
                logger.warning("reload failed; keeping the previous files", reason=str(error))
            self._last_error = str(error)
            return False
        self._seen, self._last_error = state, ""
        if value == self.value:
            return False
        self.value = value
        logger.info("files reloaded", files=list(self._paths))
        return True

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [stamp(path) for path in self._paths]


def stamp(path: str) -> tuple[int, int, int] | None:
    """Inode, size and modification time; None: no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
