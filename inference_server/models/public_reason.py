"""Failure reasons without local paths, safe to show to anyone."""

import re
from pathlib import Path

_NAME = r"[^\s/\\'\"`,;:()<>|]+"
_PATH = re.compile(rf"(?<![\w:/\\.~])(?:file://|[A-Za-z]:)?[/\\]+(?:{_NAME}[/\\]+)*({_NAME})")


def public(reason: str, folder: Path | None = None) -> str:
    """Replaces absolute paths by their last part, but not URLs. `folder` may contain spaces."""
    if folder is not None and folder.is_absolute():
        reason = reason.replace(str(folder), folder.name)
    return _PATH.sub(r"\1", reason)
