"""Plain words of comments and descriptions as Markdown. Code is in backticks; everything else means itself."""

import re
from collections.abc import Sequence

SPECIAL = re.compile(r"([\\*_\[\]{}#|])")


def prose(text: str) -> str:
    """A text whose only markup is code in backticks, in Markdown: one paragraph per paragraph."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(inline(" ".join(paragraph.split())) for paragraph in paragraphs)


def inline(text: str) -> str:
    """One paragraph."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return plain(text)
    return "".join(f"`{part}`" if at % 2 else plain(part) for at, part in enumerate(parts))


def cell(text: str) -> str:
    """Words that fit into a cell of a table."""
    return prose(text).replace("\n\n", "<br>")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The lines of a table whose cells are Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def plain(text: str) -> str:
    """A text without markup."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", text)
