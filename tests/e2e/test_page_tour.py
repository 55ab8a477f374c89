"""The tour of a first visitor: offered once, on the live model, usable by keyboard and heard, left at any time."""

from pages import OpenPage, Stack, click_bar, focused, rows, settled, shoot
from playwright.sync_api import Page, expect


def card(page: Page, title: str) -> None:
    """Waits for that stop, with the focus on its card."""
    expect(page.get_by_role("dialog", name=title)).to_be_visible()
    assert focused(page) == "tour"


def test_the_whole_tour_by_keyboard_alone(page: Page) -> None:
    page.get_by_role("button", name="Take the tour", exact=True).focus()
    page.keyboard.press("Enter")
    card(page, "The text")
    expect(page.locator("#tour-words")).to_contain_text("5 tokens")
    page.keyboard.press("Enter")
    card(page, "The bars")
    first = rows(page).first.locator(".percent").inner_text()
    expect(page.locator("#tour-words")).to_contain_text(f"leads with {first}")
    second = rows(page).nth(1).locator(".percent").inner_text()
    page.keyboard.press("2")
    expect(page.locator("#tour-words")).to_contain_text(f"had given {second}")
    page.keyboard.press("Enter")
    card(page, "The temperature")
    page.keyboard.press("-")
    expect(page.locator("#tour-words")).to_contain_text("At 0.9 the first bar has")
    page.keyboard.press("Enter")
    card(page, "The dice")
    page.keyboard.press("r")
    expect(page.locator("#tour-words")).to_contain_text("It landed on")
    shoot(page, "tour-1440")
    page.keyboard.press("Enter")
    card(page, "Back again")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tour-words")).to_contain_text("not gone")
    page.keyboard.press("Enter")
    card(page, "From here on")
    page.keyboard.press("Enter")
    expect(page.locator("#tour")).to_be_hidden()
    expect(rows(page).first).to_be_focused()
    page.reload()
    settled(page)
    expect(page.locator("#tour-offer")).to_be_hidden()


def test_leaving_it_and_declining_it_are_for_good(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url)
    settled(page)
    page.get_by_role("button", name="Take the tour", exact=True).click()
    card(page, "The text")
    page.keyboard.press("Escape")
    expect(page.locator("#tour")).to_be_hidden()
    expect(page.locator("#tour-offer")).to_be_hidden()
    other = open_page(stack.url)
    settled(other)
    other.get_by_role("button", name="No, thanks").click()
    expect(other.locator("#tour-offer")).to_be_hidden()
    other.reload()
    settled(other)
    expect(other.locator("#tour-offer")).to_be_hidden()
    other.locator("#extras-open").click()
    other.locator("#extras").get_by_role("button", name="Take the tour").click()
    card(other, "The text")


def test_who_plays_at_once_is_not_asked_any_more(page: Page) -> None:
    page.set_viewport_size({"width": 1300, "height": 800})
    expect(page.locator("#tour-offer")).to_be_visible()
    name = page.locator(".models-name")
    name.evaluate("name => { name.style.letterSpacing = '1.3em'; }")  # as a longer one
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(page.locator("#tour-offer")).to_be_hidden()
    assert name.evaluate("name => name.scrollWidth <= name.clientWidth"), "the name comes first"
    name.evaluate("name => { name.style.letterSpacing = ''; }")
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(page.locator("#tour-offer")).to_be_visible()
    for _ in range(3):
        click_bar(page, 0)
    expect(page.locator("#tour-offer")).to_be_hidden()


def test_on_a_phone_the_card_never_hides_what_it_speaks_of(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    settled(page)
    page.locator("#tour-offer [data-verb=tour]").tap()
    expect(page.locator("#tour")).to_be_visible()
    for stop, sight in enumerate(["#text", ".bars .row", "#temperature", "#actions [data-verb=roll]", ".prompt-moves"]):
        target, box = page.locator(sight).first.bounding_box(), page.locator("#tour").bounding_box()
        assert target
        assert box
        apart = target["y"] + target["height"] <= box["y"] or box["y"] + box["height"] <= target["y"]
        assert apart, f"stop {stop}"
        shoot(page, f"tour-{stop}-360")
        page.locator("#tour [data-verb=next]").tap()
        settled(page)
    page.locator("#tour [data-verb=next]").tap()
    expect(page.locator("#tour")).to_be_hidden()
