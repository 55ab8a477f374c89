"""Failure reasons without local paths, safe to show to anyone."""

import re
from pathlib import Path

_NAME = r"[^\s/\\'\"`,;:()<>|]+"
_PATH = re.compile(rf"(?<![\w:/\\.~])(?:file://|[A-Za-z]:)?[/\\]+(?:{_NAME}[/\\]+)*({_NAME})")


def public(reason: str, *folders: Path) -> str:
    """Replaces absolute paths by their last part, but not URLs. `folders` may contain spaces."""
    for folder in folders:
        if folder.is_absolute():
            reason = reason.replace(str(folder), folder.name)
    return _PATH.sub(r"\1", reason)
