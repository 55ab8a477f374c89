"""Links of the project's Markdown, from where they lead in the repository to where that is on the site."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^(```.*?^```)$", re.MULTILINE | re.DOTALL)


def targets(markdown: str, source: str) -> Iterator[str]:
    """The repository's files that a document links to, from the repository's root."""
    for part in FENCE.split(markdown)[::2]:
        for link in LINK.finditer(part):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))


def relinked(markdown: str, source: str, page: str, places: Mapping[str, str]) -> str:
    """A document with links for the site; places says where files of the repository are on it."""

    def place(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        path = posixpath.relpath(places[target], posixpath.dirname(page)) if target in places else link[1]
        return path + (link[2] or "")

    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(place, part) for part in parts[::2]]
    return "".join(parts)


def on_site(target: str, pages: Mapping[str, str], root: Path) -> str | None:
    """Where a file of the repository is on the site; None if the project has no such file."""
    if target in pages:
        return pages[target]
    if not (root / target).is_file():
        return None
    return target.removeprefix("docs/") if target.startswith("docs/") else f"files/{target}"
