"""What the README claims is so: settings, commands, files and links."""

import re
from pathlib import Path

import msgspec
import pytest

import inference_server.settings
import web_gateway.settings
from service_kit.settings import describe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVICES: dict[str, type[msgspec.Struct]] = {
    "inference server": inference_server.settings.Settings,
    "gateway": web_gateway.settings.Settings,
}
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), ROOT / "inference_server" / "bundled" / "README.md", *(ROOT / "docs").rglob("*.md")]
)


def settings_rows() -> dict[str, tuple[str, str, str]]:
    """variable → (default, read by, meaning) from the README's table."""
    table = README.split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.strip().splitlines()[2:]]
    return {row[0].strip("|` "): (row[1].strip("`"), row[2], row[3].strip("| ")) for row in rows}


def test_the_settings_table_is_the_settings() -> None:
    expected: dict[str, tuple[str, str, str]] = {}
    for service, settings in SERVICES.items():
        for variable, default, meaning in describe(settings):
            reader = "both" if variable in expected else service
            expected[variable] = (default or "empty", reader, meaning)
    assert settings_rows() == expected


def test_every_setting_reaches_its_container() -> None:
    """One that docker-compose.yml does not name would be set by an operator in vain."""
    server, gateway = (ROOT / "docker-compose.yml").read_text(encoding="utf-8").split("\n  gateway:\n")
    for settings, service in ((inference_server.settings.Settings, server), (web_gateway.settings.Settings, gateway)):
        named = set(re.findall(r"^      (NEXTTOKEN_\w+):", service, re.MULTILINE))
        assert {variable for variable, _, _ in describe(settings)} - named == set()


def test_every_command_named_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z0-9-]+)", README)) | {"run"}
    assert named <= targets
    assert {"run", "test", "e2e", "check", "bench", "help", "proto", "proto-check"} <= targets


def test_the_file_tree_is_complete() -> None:
    tree = README.split("## Files")[1].split("```")[1]
    for folder, suffix in [
        ("inference_server", "*.py"),
        ("web_gateway", "*.py"),
        ("service_kit", "*.py"),
        ("frontend/core", "*.js"),
        ("frontend/net", "*.js"),
        ("frontend/ui", "*.js"),
        ("frontend/features", "*"),
        ("frontend/features", "*/*.js"),
    ]:
        names = {path.name for path in (ROOT / folder).glob(suffix)} - {"__init__.py", "__main__.py"}
        missing = {name for name in names if not re.search(rf"\b{re.escape(name.rsplit('.', 1)[0])}\b", tree)}
        assert missing == set(), folder


@pytest.mark.parametrize("lesson", sorted((ROOT / "docs" / "lessons").glob("*.md")), ids=lambda path: path.stem)
def test_lessons_name_only_what_the_page_has(lesson: Path) -> None:
    """What is bold, but for a lesson's own headings, is on the page in these words."""
    own = {"15 minutes.", "Goal.", "You need", "Ask:", "Answer:"}
    words = " ".join(lesson.read_text(encoding="utf-8").split())
    sources = [ROOT / "frontend" / "index.html", *(ROOT / "frontend").rglob("*.js")]
    page = " ".join(re.sub(r"<[^<>]*>", "", path.read_text(encoding="utf-8")) for path in sources)
    assert set(re.findall(r"\*\*(.+?)\*\*", words)) - own > set()
    assert {name for name in re.findall(r"\*\*(.+?)\*\*", words) if name not in own and name not in page} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
