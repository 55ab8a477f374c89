"""A built page of the documentation site: its words and structure, its links, and what a browser loads for it."""

from html.parser import HTMLParser
from pathlib import Path

STRUCTURE = {"h1", "h2", "h3", "h4", "li", "tr", "pre", "code", "strong", "em", "blockquote", "img"}
APART = {"td", "th", "p", "br"}
LOADS = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}
LINKS_ONLY = {"canonical", "next", "prev", "alternate", "edit"}  # kinds of <link> that load nothing


class SitePage(HTMLParser):
    """What a document holds. Words and structure are those of its article, or of all where it has none."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self._parts: list[str] = []
        self._article = "<article" not in html
        self._permalink = False
        self.feed(html)
        self.close()

    @classmethod
    def read(cls, path: Path) -> "SitePage":
        return cls(path.read_text(encoding="utf-8"))

    def words(self) -> list[str]:
        """Words and the tags around them, in reading order."""
        return "".join(self._parts).split()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
            self._permalink = values.get("class") == "headerlink"
        if values.get("rel") not in LINKS_ONLY and values.get(LOADS.get(tag, "")):
            self.loaded.append(values[LOADS[tag]])
        if tag == "article":
            self._article = True
        self._mark(tag, f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._article = False
        if tag == "a":
            self._permalink = False
        self._mark(tag, f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._article and not self._permalink:
            self._parts.append(data)

    def _mark(self, tag: str, words: str) -> None:
        if self._article and tag in STRUCTURE:
            self._parts.append(f" {words} ")
        elif self._article and tag in APART:
            self._parts.append(" ")
