"""What a screen reader hears, and where the focus is when what held it goes."""

import re

from pages import focused, rows, settled, write
from playwright.sync_api import Page, expect


def test_a_comma_is_said_by_its_name(page: Page) -> None:
    write(page, "Once upon a time")
    comma = page.locator("#chart .row:has(.pieces:text-is(','))")
    expect(comma).to_have_attribute("aria-label", re.compile(r"^comma, [\d.]+.%"))
    labels = rows(page).evaluate_all("all => all.map(each => each.ariaLabel)")
    assert not [label for label in labels if re.match(r"[^\w]", label)]
    write(page, "Tom said: “Hi.”")
    chip = page.locator("#prompt .token").filter(has_text=re.compile("^:$"))
    expect(chip).to_have_attribute("aria-label", re.compile("^colon: "))


def test_plus_and_minus_say_the_temperature_and_the_bar_in_focus(page: Page) -> None:
    rows(page).nth(2).focus()
    for key, temperature in (("+", "1.1"), ("-", "1"), ("-", "0.9")):
        page.keyboard.press(key)
        settled(page)
        label = page.locator(":focus").get_attribute("aria-label")
        expect(page.locator("#announcer")).to_have_text(f"Temperature {temperature}: {label}.")
    page.locator("#temperature").focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    expect(page.locator("#announcer")).to_contain_text("Temperature 0.9: ")  # a slider says its value itself


def test_a_pin_that_cannot_be_set_says_why(page: Page) -> None:
    expect(page.locator("#announcer")).to_contain_text("most likely")  # of the first answer, after a moment
    pin = page.locator("#pin")
    pin.click()
    expect(page.locator("#announcer")).to_have_text("Pinned as A.")
    pin.click()
    expect(page.locator("#announcer")).to_have_text("Already pinned as A.")
    for temperature in ("0.5", "2"):
        page.locator("#temperature").fill(temperature)
        pin.click()
    expect(page.locator("#pins li")).to_have_count(3)
    expect(pin).to_have_attribute("aria-disabled", "true")
    expect(pin).to_have_accessible_description("3 are pinned; unpin one first")
    pin.focus()
    expect(pin).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#pins li")).to_have_count(3)


def test_guessing_never_loses_the_focus(page: Page) -> None:
    settled(page)
    rows(page).first.focus()
    page.keyboard.press("g")
    reveal = page.locator("#guess [data-verb=reveal]")
    for _ in range(2):
        expect(reveal).to_be_focused()
        page.keyboard.press("Enter")
        settled(page)  # a bar can be chosen once its answer is there
        expect(rows(page).first).to_be_focused()
        page.keyboard.press("Enter")
    expect(reveal).to_be_focused()
    page.keyboard.press("g")
    expect(rows(page).first).to_be_visible()
    assert focused(page) not in ("", "BODY")


def test_single_keys_act_nowhere_where_letters_and_signs_have_a_use(page: Page) -> None:
    before = page.locator("#text").input_value()
    temperature = page.locator("#temperature-number").input_value()
    for selector in ("#shade-choice", "#temperature", "#temperature-number"):
        field = page.locator(selector)
        field.focus()
        for key in ("e", "1", "r", "m", "g", "p", "-"):
            page.keyboard.press(key)
            expect(field).to_be_focused()
        if selector == "#temperature-number":
            field.fill(temperature)
    expect(page.locator("#text")).to_have_value(before)
    expect(page.locator("html:not([data-presenting], [data-guessing])")).to_have_count(1)
    rows(page).first.focus()
    page.keyboard.press("e")
    expect(page.locator("#text")).to_be_focused()
