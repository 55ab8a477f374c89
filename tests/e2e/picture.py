"""Takes the README's picture and its short film of the page: the real stack, with a published model. `make picture`"""

import io
from collections.abc import Iterator

import chromium
import published
from pages import click_bar, running, settled, write
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright
from servers import COMPILING_S, ROOT

PICTURE: ViewportSize = {"width": 1280, "height": 800}
FILM: ViewportSize = {"width": 1024, "height": 720}
PROMPT = "The capital of France is"
MOST_BYTES = 600_000
BRIEF_MS, LONG_MS = 120, 1400

Frame = tuple[bytes, int]  # a PNG, and for how many milliseconds it is seen


def main() -> None:
    """Writes docs/page.png and docs/page.webp."""
    if (model := published.find(published.MODEL)) is None:
        raise SystemExit(f"no {published.MODEL} in {published.FOLDER} to take a picture of: `make real` fetches it")
    with running(NEXTTOKEN_MODEL=str(model)) as stack, sync_playwright() as playwright:
        stack.server.wait_for("model ready", COMPILING_S, model=str(model))
        browser = playwright.chromium.launch(executable_path=chromium.EXECUTABLE, args=chromium.ARGUMENTS)
        page = browser.new_page(viewport=PICTURE)
        begin(page, stack.url)
        write(page, PROMPT)
        page.locator("#temperature").fill("0.8")
        settled(page)
        page.locator("h1").click()
        page.screenshot(path=ROOT / "docs" / "page.png", animations="disabled")
        page = browser.new_page(viewport=FILM, reduced_motion="reduce")
        begin(page, stack.url)
        save(list(film(page)))
        browser.close()


def begin(page: Page, url: str) -> None:
    """The page of someone who has been here before."""
    page.goto(url)
    settled(page)
    page.get_by_role("button", name="No, thanks").click()


def film(page: Page) -> Iterator[Frame]:
    """A text is typed, two bars are picked, the temperature is dragged, the dice are rolled, and all is taken back."""
    for end in (3, 11, 21):
        write(page, PROMPT[:end])
        yield page.screenshot(), LONG_MS // 2
    write(page, PROMPT)
    page.locator("h1").click()
    yield page.screenshot(), LONG_MS
    for index in (0, 1):
        page.locator("#chart .row").nth(index).hover()
        yield page.screenshot(), LONG_MS // 2
        click_bar(page, index)
        page.locator("h1").hover()
        yield page.screenshot(), LONG_MS
    slider = page.locator("#temperature")
    for value in [1 - at / 10 for at in range(1, 8)] + [0.3 + at / 5 for at in range(1, 8)]:
        slider.fill(f"{value:.1f}")
        yield page.screenshot(), BRIEF_MS
    yield page.screenshot(), LONG_MS
    slider.fill("1")
    settled(page)
    page.locator("h1").click()  # the arrows are the page's again
    page.keyboard.press("r")
    page.locator("#chart [data-dart]").wait_for()
    yield page.screenshot(), LONG_MS
    page.locator("#chart [data-dart]").wait_for(state="detached")
    settled(page)
    yield page.screenshot(), LONG_MS
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
        settled(page)
        yield page.screenshot(), LONG_MS // 2


def save(frames: list[Frame]) -> None:
    """The film as an animated WebP without an end."""
    first, *others = [Image.open(io.BytesIO(png)).convert("RGB") for png, _ in frames]
    target = ROOT / "docs" / "page.webp"
    lengths = [milliseconds for _, milliseconds in frames]
    first.save(target, save_all=True, append_images=others, duration=lengths, loop=0, quality=70, method=6)
    size = target.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"docs/page.webp has {size} bytes, more than {MOST_BYTES}")


if __name__ == "__main__":
    main()
