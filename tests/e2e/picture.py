"""Takes the README's picture of the page, from the real stack: `make picture`."""

from e2e.conftest import ARGUMENTS, CHROMIUM
from pages import click_bar, running, settled, write
from playwright.sync_api import sync_playwright
from servers import ROOT

SIZE = {"width": 1280, "height": 800}


def main() -> None:
    """Writes docs/page.png."""
    with running(NEXTTOKEN_MODEL="bundled") as stack, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]  # a plain dict is one
        page.goto(stack.url)
        settled(page)
        write(page, "Tom and his dog went to the")
        click_bar(page, 0)
        page.locator("#temperature").fill("0.8")
        settled(page)
        page.locator("h1").click()
        page.screenshot(path=ROOT / "docs" / "page.png", animations="disabled")
        browser.close()


if __name__ == "__main__":
    main()
