"""What axe-core finds wrong with a page, in words: the rules of WCAG 2.2 AA and its best practices."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """One line for each violation, with the elements at fault."""
    found: dict[str, Any] = Axe().run(page, options={"runOnly": TAGS, "resultTypes": ["violations"]}).response
    return [f"{each['id']}: {each['help']}: {where(each['nodes'])}" for each in found["violations"]]


def where(nodes: list[dict[str, Any]]) -> list[str]:
    """The first elements at fault, each with what would mend it."""
    return [f"{node['html'][:200]} {node['failureSummary']}" for node in nodes[:4]]


def assert_clean_by_day_and_night(page: Page, state: str) -> None:
    """The same in light, dark and forced colours, one after the other on the same page."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_clean(page, f"{state}, {scheme}")
    page.emulate_media(color_scheme="light", forced_colors="active")
    assert_clean(page, f"{state}, forced colours")
    page.emulate_media(forced_colors="none")


def assert_clean(page: Page, state: str) -> None:
    """Fails with everything axe-core finds while the page is in this state."""
    found = violations(page)
    assert not found, "\n".join([state, *found])
