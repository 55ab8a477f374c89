"""Everything tried, as a tree: go there, delete, bring back; and it survives a reload."""

import re

import pytest
from pages import OpenPage, Stack, branch_at, click_bar, open_tab, redrawn, rows, settled, shoot, write
from playwright.sync_api import Locator, Page, expect

TEXT = "The little girl was very"

# The first character of each line but the first.
FIRSTS = """each => {
  const [text] = each.childNodes;
  const top = (at) => {
    const range = document.createRange();
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    return range.getBoundingClientRect().top;
  };
  const seen = [...text.data].flatMap((sign, at) => (sign === "\\u200b" ? [] : [[sign, top(at)]]));
  return seen.filter(([, now], at) => at && now > seen[at - 1][1]).map(([sign]) => sign);
}"""


def paths(page: Page) -> Locator:
    return page.locator("#paths .path")


def branch_out(page: Page) -> list[str]:
    """Two branches after the text, the second one at hand; their texts."""
    write(page, TEXT)
    page.keyboard.press("Escape")
    click_bar(page, 0)
    click_bar(page, 1)
    texts = [page.locator("#text").input_value()]
    branch_at(page, 6, 2)
    texts.append(page.locator("#text").input_value())
    open_tab(page, "Paths")
    expect(paths(page).last).to_be_visible()
    return texts


def test_each_branch_with_its_words_and_probability_leads_there(page: Page) -> None:
    first, second = branch_out(page)
    expect(page.locator("#text")).to_have_value(second)
    count = paths(page).count()
    expect(page.locator("#paths [aria-current=true]")).to_have_count(1)
    expect(page.locator("#paths [aria-current=true] .path-total")).to_have_text(re.compile(r"^[\d.]+\s%$"))
    paths(page).nth(count - 2).click()
    expect(page.locator("#text")).to_have_value(first)
    settled(page)
    expect(paths(page).nth(count - 2)).to_have_attribute("aria-current", "true")
    shoot(page, "paths-1440")
    page.reload()
    settled(page)
    expect(paths(page)).to_have_count(count)
    paths(page).last.click()
    expect(page.locator("#text")).to_have_value(second)


def test_a_deleted_branch_is_brought_back_by_keyboard(page: Page) -> None:
    _, second = branch_out(page)
    count = paths(page).count()
    page.locator("#paths .path-remove").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value(TEXT)
    expect(paths(page)).to_have_count(count - 1)
    back = page.get_by_role("button", name="Undo delete")
    expect(back).to_be_focused()
    shoot(page, "path-deleted-1440")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value(second)
    expect(paths(page)).to_have_count(count)
    expect(back).to_be_hidden()
    settled(page)


def test_paths_grow_with_every_click_and_stay_closed_when_closed(page: Page) -> None:
    branch_out(page)
    count = paths(page).count()
    branch_at(page, 6, 4)
    expect(paths(page)).to_have_count(count + 1)
    page.locator(".inspector-close").click()
    expect(paths(page).first).to_be_hidden()
    page.reload()
    settled(page)
    expect(paths(page).first).to_be_hidden()


def test_a_branch_is_named_and_folded_by_keyboard_and_a_reload_keeps_both(page: Page) -> None:
    branch_out(page)
    count = paths(page).count()
    trunk = page.locator("#paths li").nth(count - 3)
    trunk.locator(".path-pen").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("the girl")
    page.keyboard.press("Enter")
    expect(trunk.locator(".path-name")).to_have_text("the girl")
    expect(trunk.locator(".path-pen")).to_be_focused()
    expect(page.locator("#text")).to_have_value(re.compile(TEXT))
    trunk.get_by_role("button", name="Branches of the girl").press("Enter")
    expect(paths(page)).to_have_count(count - 2)
    expect(trunk.locator(".path-total")).to_have_text("+2")
    expect(trunk.locator(".path")).to_have_attribute("aria-current", "true")
    page.reload()
    settled(page)
    expect(trunk.locator(".path-name")).to_have_text("the girl")
    trunk.locator(".path-pen").click()
    page.keyboard.type("something else")
    page.keyboard.press("Escape")
    expect(trunk.locator(".path-name")).to_have_text("the girl")
    trunk.locator(".path-fold").click()
    expect(paths(page)).to_have_count(count)


def test_deleted_branches_come_back_after_a_reload_the_last_first(page: Page) -> None:
    first, second = branch_out(page)
    count = paths(page).count()
    removals = page.locator("#paths .path-remove:not([data-none])")
    removals.last.evaluate("(button) => { button.click(); button.click(); }")  # again before the page is drawn
    redrawn(page)
    removals.last.click()
    expect(paths(page)).to_have_count(count - 3 + 1)  # what is left has no fork
    expect(page.locator(".paths-removed")).to_contain_text("and 1 before it")
    page.reload()
    settled(page)
    back = page.get_by_role("button", name="Undo delete")
    back.click()
    back.click()
    expect(back).to_be_hidden()
    expect(paths(page)).to_have_count(count)
    for text, line in ((first, count - 2), (second, count - 1)):
        paths(page).nth(line).click()
        expect(page.locator("#text")).to_have_value(text)


FULL = """() => { Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }; }"""
FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });
}"""


def test_a_full_storage_is_said_in_words_and_stops_nothing(page: Page) -> None:
    page.evaluate(FULL)
    texts = branch_out(page)
    expect(page.locator("#status")).to_contain_text("Browser storage is full or blocked")
    expect(page.locator("#text")).to_have_value(texts[1])
    shoot(page, "storage-full-1440")


def test_a_forbidden_storage_is_said_in_words_and_stops_nothing(open_page: OpenPage, stack: Stack) -> None:
    page = open_page("about:blank")
    page.add_init_script(FORBIDDEN)
    page.goto(stack.url)
    settled(page)
    click_bar(page, 0)
    expect(page.locator("#status")).to_contain_text("Browser storage is full or blocked")


def test_two_tabs_do_not_overwrite_each_other(page: Page, stack: Stack) -> None:
    write(page, "The little girl was very")
    other = page.context.new_page()
    other.goto(stack.url)
    settled(other)
    write(other, "Tom and his dog")
    other.close()
    page.reload()
    settled(page)
    expect(page.locator("#text")).to_have_value("The little girl was very")
    third = page.context.new_page()
    third.goto(stack.url)
    settled(third)
    expect(third.locator("#text")).to_have_value("Tom and his dog")


def test_two_long_texts_are_told_apart(page: Page) -> None:
    write(page, "The little girl was very happy")
    write(page, "The little girl was very")
    write(page, "The little girl was so")
    open_tab(page, "Paths")
    for words in page.locator("#paths .path-words").all():
        assert words.evaluate("each => each.scrollHeight <= each.clientHeight && each.scrollWidth <= each.clientWidth")
        assert set(words.evaluate(FIRSTS)) <= {"·"}, "lines end between words"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900), (1920, 1080)])
def test_at_every_width(open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    branch_out(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator("#paths").scroll_into_view_if_needed()
    shoot(page, f"paths-{width}-{scheme}")
    tree, chart = page.locator("#paths").bounding_box(), page.locator("#chart").bounding_box()
    assert tree
    assert chart
    expect(rows(page).first).to_be_in_viewport(ratio=1)
    if width >= 1280:
        assert tree["x"] >= chart["x"] + chart["width"], "beside the chart"
    else:
        last_seen = page.locator("#controls").bounding_box()
        assert last_seen
        assert tree["y"] >= last_seen["y"] + last_seen["height"], "beneath the controls"
