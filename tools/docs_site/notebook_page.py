"""A notebook as a page: its prose, its code, and what the code showed."""

import json
import re
from collections.abc import Iterator
from typing import Any

STYLE = re.compile(r"<style.*?</style>\n?|^\s*\n", re.DOTALL | re.MULTILINE)
TABLE = re.compile(r"<table [^>]*>")  # the site has its own style for tables


def page(source: str, name: str) -> str:
    """The page, in Markdown, with a link to the file of that name beside it."""
    found = [part for cell in json.loads(source)["cells"] for part in parts(cell)]
    return "\n\n".join([*found, f'<a href="{name}" download>Download this notebook</a>']) + "\n"


def parts(cell: dict[str, Any]) -> Iterator[str]:
    """A cell and its outputs."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield text
        return
    yield f"```python\n{text}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            yield f"![What the cell draws](data:image/png;base64,{data['image/png'].strip()})"
        elif "text/html" in data:
            yield f"<div>\n{TABLE.sub('<table>', STYLE.sub('', ''.join(data['text/html'])))}\n</div>"
        else:
            words = "".join(data.get("text/plain") or output["text"])
            yield f"```text\n{words.rstrip()}\n```"
