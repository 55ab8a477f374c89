"""The built documentation site: links hold, nothing comes from elsewhere, pages read as they do on GitHub."""

import json
import posixpath
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from nexttoken.v1 import next_token_pb2 as pb
from servers import ROOT
from site_pages import SitePage

from web_gateway.api import openapi

SITE = ROOT / "build" / "site"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
WRITTEN = {
    path.relative_to(ROOT / "docs").with_suffix(".html").as_posix(): path for path in (ROOT / "docs").rglob("*.md")
}
ELSEWHERE = {
    "project/overview.html": ROOT / "README.md",
    "project/contributing.html": ROOT / "CONTRIBUTING.md",
    "project/changelog.html": ROOT / "CHANGELOG.md",
    "project/security.html": ROOT / "SECURITY.md",
    "project/demo-model.html": ROOT / "inference_server" / "bundled" / "README.md",
}


@cache
def page(name: str) -> SitePage:
    return SitePage.read(SITE / name)


def leads(name: str, link: str) -> tuple[str, str]:
    """The file of the site that a link of a page leads to, and the place in it."""
    parts = urlsplit(link)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
    return (f"{path}/index.html" if (SITE / path).is_dir() else path), unquote(parts.fragment)


@pytest.mark.parametrize("name", sorted({*PAGES, *WRITTEN, *ELSEWHERE} - {"404.html"}))  # 404.html is served anywhere
def test_links_and_anchors_hold(name: str) -> None:
    broken = []
    for link in page(name).links:
        if urlsplit(link).scheme:
            continue
        path, anchor = leads(name, link)
        held = (SITE / path).is_file() and (not anchor or not path.endswith(".html") or anchor in page(path).ids)
        broken += [] if held else [link]
    assert broken == []
    assert len(page(name).ids) == len(set(page(name).ids))


@pytest.mark.parametrize("name", PAGES)
def test_nothing_comes_from_elsewhere(name: str) -> None:
    assert page(name).loaded
    assert [url for url in page(name).loaded if urlsplit(url).netloc] == []


def test_styles_load_nothing_from_elsewhere() -> None:
    sheets = [path.read_text(encoding="utf-8") for path in SITE.rglob("*.css")]
    assert sheets
    assert not any(word in sheet for sheet in sheets for word in ("url(http", 'url("http', "url(//", "@import"))


@pytest.mark.parametrize(
    ("name", "document"), sorted({**WRITTEN, **ELSEWHERE}.items()), ids=lambda value: str(value)[-30:]
)
def test_pages_read_as_they_do_on_github(name: str, document: Path) -> None:
    """The same words in the same lists, tables and code, as CommonMark has them."""
    rendered = MarkdownIt("commonmark").enable("table").render(document.read_text(encoding="utf-8"))
    assert page(name).words() == SitePage(rendered).words()


def test_the_reference_names_the_whole_contract() -> None:
    words = set(page("reference/grpc.html").words())
    file = pb.DESCRIPTOR
    names = {method.name for service in file.services_by_name.values() for method in service.methods}
    for message in file.message_types_by_name.values():
        names |= {message.name, *(field.name for field in message.fields)}
    for enum in file.enum_types_by_name.values():
        names |= {enum.name, *(value.name for value in enum.values)}
    assert names - words == set()


def test_the_reference_names_every_path_and_field() -> None:
    words = set(page("reference/http.html").words())
    document = openapi.document()
    names = set(document["paths"])
    for name, schema in document["components"]["schemas"].items():
        names |= {name, *schema.get("properties", ())}
    assert names - words == set()


def test_search_finds_every_page() -> None:
    index = json.loads((SITE / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert {entry["location"].partition("#")[0] for entry in index["docs"]} == set(PAGES) - {"404.html"}
