"""Why a model failed, in words for everybody: without this machine's folders. Knows no models and no states."""

import re
from pathlib import Path

_NAME = r"[^\s/\\'\"`,;:()<>|]+"
_PATH = re.compile(rf"(?<![\w:/\\.~])(?:file://|[A-Za-z]:)?[/\\]+(?:{_NAME}[/\\]+)*({_NAME})")


def public(reason: str, folder: Path | None = None) -> str:
    """A reason with names in place of absolute paths; addresses of the web stay. `folder` may have blanks in it."""
    if folder is not None and folder.is_absolute():
        reason = reason.replace(str(folder), folder.name)
    return _PATH.sub(r"\1", reason)
