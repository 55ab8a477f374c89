"""What axe-core finds wrong with a page, in words: the rules of WCAG 2.2 AA and its best practices."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCRIPT: str = Axe().axe_script
PHONE = {"width": 360, "height": 740}


def violations(page: Page) -> list[str]:
    """One line for each violation, with the elements at fault."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(SCRIPT)
    options = {"runOnly": TAGS, "resultTypes": ["violations"]}
    found: dict[str, Any] = page.evaluate("options => axe.run(options)", options)
    return [f"{each['id']}: {each['help']}: {where(each['nodes'])}" for each in found["violations"]]


def where(nodes: list[dict[str, Any]]) -> list[str]:
    """The first elements at fault, each with what would mend it."""
    return [f"{node['html'][:200]} {node['failureSummary']}" for node in nodes[:4]]


def assert_clean(page: Page, state: str) -> None:
    """Fails with all that axe-core finds in this state of the page: light, dark, in forced colours, on a phone."""
    found = []
    for look, media in {
        "light": {"color_scheme": "light"},
        "dark": {"color_scheme": "dark"},
        "forced colours": {"color_scheme": "light", "forced_colors": "active"},
    }.items():
        page.emulate_media(**media)  # type: ignore[arg-type]
        found += [f"{look}: {each}" for each in violations(page)]
    page.emulate_media(forced_colors="none")
    desktop = page.viewport_size
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    found += [f"phone: {each}" for each in violations(page)]
    page.set_viewport_size(desktop)  # type: ignore[arg-type]
    assert not found, "\n".join([state, *found])
