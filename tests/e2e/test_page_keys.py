"""The whole main job by keyboard alone."""

import re

from pages import focused, rows, settled, shoot
from playwright.sync_api import Page, expect


def tab_to(page: Page, wanted: str) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if wanted in focused(page).split():
            return
    raise AssertionError(f"Tab never reaches {wanted}")


def test_type_pick_take_back_and_change_settings(page: Page) -> None:
    tab_to(page, "text")
    page.keyboard.press("Control+A")
    page.keyboard.type("Tom and his dog went to the", delay=5)
    settled(page)
    page.keyboard.press("Escape")
    expect(rows(page).first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(2)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    settled(page)
    first = page.locator("#text").input_value()
    assert len(first) > len("Tom and his dog went to the")
    expect(rows(page).first).to_be_focused()
    page.keyboard.press("Enter")
    settled(page)
    page.keyboard.press("3")
    settled(page)
    expect(page.locator("#prompt .token")).to_have_count(page.locator("#prompt .token").count())
    page.keyboard.press("ArrowLeft")
    settled(page)
    page.keyboard.press("Backspace")
    settled(page)
    expect(page.locator("#text")).to_have_value(first)
    page.keyboard.press("Control+Shift+Z")
    expect(page.locator("#text")).not_to_have_value(first)
    page.keyboard.press("Control+Z")
    expect(page.locator("#text")).to_have_value(first)
    tab_to(page, "temperature")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#temperature-number")).to_have_value("0.95")
    settled(page)
    tab_to(page, "top-k")
    page.keyboard.press("End")
    expect(rows(page)).to_have_count(50)


def test_digits_pick_the_bars_from_anywhere_but_a_text(page: Page) -> None:
    page.locator("#text").focus()
    page.keyboard.press("End")
    page.keyboard.type("1")
    settled(page)
    expect(page.locator("#text")).to_have_value("Once upon a time1")
    page.keyboard.press("Escape")
    wanted = rows(page).nth(9).locator(".token").text_content()
    page.keyboard.press("0")
    expect(page.locator("#text")).to_have_value(f"Once upon a time1{wanted}")
    settled(page)
    page.locator("#text").focus()
    page.keyboard.press("Control+Z")
    expect(page.locator("#text")).to_have_value("Once upon a time1")
    page.keyboard.press("Control+Shift+Z")
    expect(page.locator("#text")).to_have_value(f"Once upon a time1{wanted}")
    page.keyboard.type("!")
    settled(page)
    page.keyboard.press("Control+Z")
    expect(page.locator("#text")).to_have_value(f"Once upon a time1{wanted}")
    settled(page)


def test_five_picks_a_second_stay_in_order(page: Page) -> None:
    count = page.locator("#prompt .token").count()
    page.locator("#chart .row").first.focus()
    for _ in range(8):
        page.keyboard.press("1")
        settled(page)
    expect(page.locator("#prompt .token")).to_have_count(count + 8)
    text = page.locator("#text").input_value()
    names = page.locator("#prompt .token").evaluate_all("all => all.slice(1).map(each => each.textContent)")
    assert "".join(names) == text


def test_bars_are_pinned_and_a_text_looked_up_by_key(page: Page) -> None:
    page.locator("#chart .row").first.focus()
    page.keyboard.press("k")
    expect(page.locator("#pins li")).to_have_count(1)
    page.keyboard.press("l")
    expect(page.locator("#likely-text")).to_be_focused()
    page.keyboard.type("kl")
    expect(page.locator("#likely-text")).to_have_value("kl")
    expect(page.locator("#pins li")).to_have_count(1)


def test_the_list_of_keys(page: Page) -> None:
    page.locator("#chart .row").first.focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    shoot(page, "keys-1440")
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.locator("#keys").evaluate("each => each.scrollHeight <= each.clientHeight"), "all of it at once"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    expect(rows(page).first).to_be_focused()


def test_each_control_has_a_name_and_each_bar_says_what_it_is(page: Page) -> None:
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea")]
          .filter((each) => each.checkVisibility())
          .filter((each) => !(each.ariaLabel || each.labels?.length || each.textContent.trim()))
          .map((each) => each.outerHTML)"""
    )
    assert unnamed == []
    label = rows(page).nth(1).get_attribute("aria-label") or ""
    assert re.fullmatch(r".+, [\d.]+\u202f%, rank 2", label)


def test_a_screen_reader_hears_the_outcome_of_a_step_and_what_is_wrong(page: Page) -> None:
    page.keyboard.press("2")
    settled(page)
    expect(page.locator("#announcer")).to_contain_text(re.compile(r"^After .+: most likely .+\s%\.$"))
    page.keyboard.press("k")
    expect(page.locator("#announcer")).to_have_text("Pinned as A.")
    page.locator(".pin-remove").press("Enter")
    expect(page.get_by_role("status").filter(has_text="Undo")).to_be_visible()
    page.locator("#temperature-number").fill("101")
    expect(page.get_by_role("status").filter(has_text="must be a number from 0 to 100")).to_be_visible()
