"""Files of an operator: read, checked before use, and read again when they change. Knows no formats."""

import os
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

from service_kit.settings import SettingsError, variable

T = TypeVar("T")

logger = structlog.get_logger()


def content(field: str, path: str) -> bytes:
    """A file's bytes. Raises SettingsError, which names the setting that led there."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SettingsError(f"{variable(field)}={path!r}: {os.strerror(error.errno or 0)}") from error


class WatchedFile(Generic[T]):
    """What some files say, renewed on request. Files that stop making sense leave the last good value in use."""

    def __init__(self, paths: Sequence[str], read: Callable[[], T]) -> None:
        """Reads at once; raises SettingsError where `read` does."""
        self._paths = paths
        self._read = read
        self._seen = self._state()
        self._told = ""
        self.value = read()

    def renewed(self) -> bool:
        """Looks at the files, and reads them where one changed; whether there is another value now.

        What can't be used is read again at each look: a file that may be read at last does not look changed.
        """
        state = self._state()
        if state == self._seen:
            self._told = ""
            return False
        try:
            value = self._read()
        except SettingsError as error:
            if str(error) != self._told:
                logger.warning("changed files can't be used; what was read before stays in use", reason=str(error))
            self._told = str(error)
            return False
        self._seen, self._told = state, ""
        if value == self.value:
            return False
        self.value = value
        logger.info("changed files are in use", files=list(self._paths))
        return True

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [stamp(path) for path in self._paths]


def stamp(path: str) -> tuple[int, int, int] | None:
    """What changes when a file does: inode, length and time of the last change. None: no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
