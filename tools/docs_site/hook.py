"""What MkDocs calls: adds the generated pages and the project's other documents, and makes links lead to them."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs_site import grpc_reference, http_reference, links, notebook_page
from web_gateway.api import openapi

ROOT = Path(__file__).parents[2]
PROJECT = {
    "README.md": "project/overview.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "inference_server/bundled/README.md": "project/demo-model.md",
}
"""Documents outside docs/, and their pages."""

REFERENCE = {"proto/nexttoken/v1/next_token.proto": "reference/grpc.md"}
"""What is better read as a generated page."""

NOTEBOOKS = {"docs/notebook.ipynb": "notebook.md"}


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are not in docs/, and the files that documents link to."""
    config["places"] = places = {**PROJECT, **REFERENCE, **NOTEBOOKS}
    documents = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in written()}
    for source, markdown in documents.items():
        for target in links.targets(markdown, source):
            found = links.on_site(target, places, ROOT)
            if found is None or target in places:
                continue
            places[target] = found
            if found.startswith("files/"):
                files.append(File.generated(config, found, abs_src_path=str(ROOT / target)))
    for source, page in PROJECT.items():
        files.append(File.generated(config, page, content=documents[source]))
    for source, page in NOTEBOOKS.items():
        found = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=notebook_page.page(found, Path(source).name)))
    files.append(File.generated(config, "reference/grpc.md", content=grpc_reference.page(ROOT)))
    files.append(File.generated(config, "reference/http.md", content=http_reference.page(openapi.document())))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """The document with its links for the site."""
    here = page.file.src_uri
    source = next((path for path, place in PROJECT.items() if place == here), f"docs/{here}")
    return links.relinked(markdown, source, here, config["places"])


def written() -> list[Path]:
    """The documents that people wrote."""
    return [*(ROOT / "docs").rglob("*.md"), *(ROOT / path for path in PROJECT)]
