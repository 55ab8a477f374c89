"""Numbers: none is ever clipped, and each says what it counts."""

import re

import pytest
from pages import OpenPage, Stack, percents, rows, settled, shoot, write
from playwright.sync_api import Page, expect

# Elements whose own text has a digit, of which a part is cut away by themselves or by what holds them.
CLIPPED = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    const skipped = holder.closest("textarea, option, .pieces, script");
    if (skipped || !/\\d/.test(node.data) || !holder.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const text = range.getBoundingClientRect();
    if (!text.width) continue;
    for (let box = holder; box; box = box.parentElement) {
      const { overflowX } = getComputedStyle(box);
      if (overflowX === "visible") continue;
      const edge = box.getBoundingClientRect();
      const gone = text.top >= edge.bottom - 1 || text.bottom <= edge.top + 1 || edge.width <= 2;
      if (gone) break; // wholly out of sight
      if (overflowX === "auto" || overflowX === "scroll") break; // within reach
      if (text.right > edge.right + 1 || text.left < edge.left - 1) found.push(`${holder.className}: ${node.data}`);
    }
  }
  return found;
}"""


@pytest.mark.parametrize(("width", "height"), [(320, 640), (360, 740), (768, 1024), (1280, 800), (1440, 900)])
@pytest.mark.parametrize("presenting", [False, True])
def test_no_number_is_clipped(open_page: OpenPage, stack: Stack, width: int, height: int, presenting: bool) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height})
    settled(page)
    write(page, "Tom had")
    for temperature in ("1.4", "3", "30"):
        page.locator("#temperature-number").fill(temperature)
        settled(page)
        if presenting:
            page.evaluate("document.activeElement.blur()")
            page.keyboard.press("p")
            expect(page.locator("html[data-presenting]")).to_have_count(1)
            settled(page)
        assert page.evaluate(CLIPPED) == [], temperature
        expect(page.locator(".chart-entropy")).to_contain_text("equally likely")
        shoot(page, f"numbers-{'presenting-' * presenting}{width}-{temperature}")
        if presenting:
            page.keyboard.press("p")
            expect(page.locator("html:not([data-presenting])")).to_have_count(1)


def test_the_entropy_is_put_in_no_mood(page: Page) -> None:
    expect(page.locator(".chart-entropy")).to_have_text(
        re.compile(r"^[\d.]+ bits: (nearly certain|about [\d,]+ equally likely choices)$")
    )


def test_the_others_are_those_that_the_filters_keep(page: Page) -> None:
    page.locator("#temperature-number").fill("2")
    page.locator("#top-k-number").fill("3")
    page.locator(".more-open").click()
    page.locator("#top-p-number").fill("0.95")
    settled(page)
    kept = int(re.search(r"[\d,]+", page.locator(".kept").inner_text())[0].replace(",", ""))  # type: ignore[index]
    name = page.locator(".others-name")
    assert kept > 4
    expect(name).to_have_text(f"{kept - 3:,} others kept")
    assert percents(page)[-1] > 0
    shoot(page, "others-kept-1440")
    page.locator("#top-p-number").fill("1")
    settled(page)
    expect(name).to_have_text(re.compile(r"^[\d,]+ others$"))
    assert len(rows(page).all()) == 3
