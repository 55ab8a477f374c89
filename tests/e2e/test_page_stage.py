"""The stage: what a speaker needs while presenting, for mouse and touch; and a tour that gives the text back."""

import re

import pytest
from axe import assert_clean
from pages import OpenPage, Stack, look_at, redrawn, rows, settled, shoot, stay_in_window, write
from playwright.sync_api import Page, expect


@pytest.fixture
def stage(open_page: OpenPage, stack: Stack) -> Page:
    """Presenting, to a room."""
    page = open_page(stack.url, viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    settled(page)
    stay_in_window(page)
    page.locator("#extras-open").click()
    page.locator("#extras [data-verb=present]").click()
    expect(page.locator("#stage")).to_be_visible()
    return page


def test_temperature_dice_guess_and_highlight_are_within_reach_and_hide_themselves(stage: Page) -> None:
    page = stage
    line = page.locator("#room-line")
    page.mouse.move(400, 400)
    expect(line).to_have_attribute("data-awake", "")
    for control in page.locator("#stage :is(input, button, select)").all():
        expect(control).to_be_in_viewport(ratio=1)
    assert_clean(page, "the stage bar")
    bar, text = page.locator("#stage").bounding_box(), page.locator("#text").bounding_box()
    assert bar
    assert text
    assert bar["y"] + bar["height"] <= text["y"] + 1
    expect(page.locator("#inspector")).to_be_hidden()
    page.mouse.move(420, 410)  # the bar may have hidden itself while axe looked
    page.locator("#stage [data-verb=inspect]").click()
    page.get_by_role("tab", name="Why").click()
    expect(page.locator(".why-strongest li").first).to_be_visible()
    assert_clean(page, "the inspector on the stage")
    page.keyboard.press("i")
    expect(page.locator("#inspector")).to_be_hidden()
    page.locator("#stage input").fill("0.5")
    settled(page)
    expect(page.locator("#stage output")).to_have_text("0.5")
    expect(page.locator("#room-line .room-words")).to_contain_text("temperature 0.5")
    before = page.locator("#text").input_value()
    page.locator("#stage [data-verb=roll]").click()
    expect(page.locator("#chart [data-dart] .dart-token")).to_be_visible()
    shoot(page, "stage-roll-1280")
    expect(page.locator("#text")).not_to_have_value(before)
    page.locator("#stage [data-verb=write]").click()
    expect(page.locator("#stage [data-verb=write]")).to_have_text("Stop")
    page.locator("#stage [data-verb=write]").click()
    expect(page.locator("#stage [data-verb=write]")).to_have_text("Generate")
    settled(page)
    page.locator("h1").evaluate("() => document.activeElement.blur()")
    page.mouse.move(640, 600)
    expect(line).not_to_have_attribute("data-awake", "", timeout=10_000)
    page.keyboard.press("Tab")
    page.locator("#stage [data-verb=leave]").focus()
    expect(line).to_have_attribute("data-awake", "")
    page.keyboard.press("Enter")
    expect(page.locator("#controls")).to_be_visible()


def test_the_highlight_leaves_all_bars_on_the_screen(stage: Page) -> None:
    page = stage
    write(page, "Once upon a time there was a little girl who liked to play in the park with her dog.")
    page.locator("#text").blur()
    page.mouse.move(400, 400)
    page.locator("#stage select").select_option("surprise")
    expect(page.locator("#prompt .token[data-level]").first).to_be_visible()
    settled(page)
    for index in range(10):
        expect(rows(page).nth(index)).to_be_in_viewport(ratio=1)
    expect(page.locator("#chart .others")).to_be_in_viewport(ratio=1)
    shoot(page, "stage-highlight-1280")


def test_an_earlier_token_leaves_all_bars_on_the_screen(stage: Page) -> None:
    page = stage
    write(page, "Tom ate a xylophone")
    look_at(page, 4)
    expect(page.locator("#chart [data-far] .row")).to_be_in_viewport(ratio=1)
    for index in range(10):
        expect(rows(page).nth(index)).to_be_in_viewport(ratio=1)
    expect(page.locator("#chart .others")).to_be_in_viewport(ratio=1)
    shoot(page, "stage-look-1280")


def test_generating_lifts_the_curtain_and_it_falls_again(stage: Page) -> None:
    page = stage
    page.mouse.move(400, 400)
    page.locator("#stage [data-verb=guess]").click()
    expect(page.locator("#guess")).to_be_visible()
    expect(page.locator("#stage [data-verb=guess]")).to_have_attribute("aria-pressed", "true")
    page.locator("#stage [data-verb=write]").click()
    expect(rows(page).first).to_be_visible()
    expect(page.locator("#guess")).to_be_hidden()
    page.locator("#stage [data-verb=write]").click()
    expect(page.locator("#guess")).to_be_visible()


def test_the_temperature_of_a_tablet_s_stage_can_be_dragged(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 768, "height": 1024})
    settled(page)
    stay_in_window(page)
    page.keyboard.press("p")
    page.mouse.move(400, 600)
    redrawn(page)
    slider = page.locator("#stage input").bounding_box()
    assert slider
    assert slider["width"] >= 2 * slider["height"]
    for control in page.locator("#stage :is(input, button, select)").all():
        expect(control).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("width", [320, 360])
def test_the_stage_of_a_phone_stands_below_the_text(open_page: OpenPage, stack: Stack, width: int) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True)
    settled(page)
    page.locator("#extras-open").tap()
    page.locator("#extras [data-verb=present]").tap()
    settled(page)
    page.locator("h1").dispatch_event("pointerdown")
    for control in page.locator("#stage :is(input, button, select)").all():
        expect(control).to_be_in_viewport(ratio=1)
    stage, text = page.locator("#stage").bounding_box(), page.locator("#text").bounding_box()
    assert stage
    assert text
    assert stage["y"] >= text["y"] + text["height"]
    assert stage["height"] <= 120
    shoot(page, f"stage-{width}")
    page.locator("#stage [data-verb=leave]").tap()
    expect(page.locator("#controls")).to_be_visible()


def test_the_tour_offers_a_fresh_text_and_gives_the_reader_s_back(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url)
    write(page, "My own words")
    page.locator("#tour-offer [data-verb=tour]").click()
    expect(page.get_by_role("button", name="Use a fresh text")).to_be_visible()
    boxes = [button.bounding_box() for button in page.locator("#tour button:visible").all()]
    assert len({round(each["y"] + each["height"] / 2) for each in boxes if each}) == 1, "its buttons share a line"
    page.get_by_role("button", name="Use a fresh text").click()
    expect(page.locator("#text")).to_have_value("Once upon a time")
    settled(page)
    expect(page.get_by_role("button", name="Use a fresh text")).to_be_hidden()
    expect(page.locator("#tour-words")).to_contain_text(re.compile(r"\d tokens long"))
    page.keyboard.press("Escape")
    expect(page.locator("#tour")).to_be_hidden()
    expect(page.locator("#text")).to_have_value("My own words")
    settled(page)
