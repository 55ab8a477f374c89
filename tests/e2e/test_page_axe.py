"""axe-core finds nothing in any state of the page: light, dark and in forced colours."""

from typing import Any

import pytest
from axe import assert_clean
from pages import OpenPage, Stack, click_bar, settled, shoot, write
from playwright.sync_api import Page, expect

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
    "phone": {"viewport": {"width": 360, "height": 740}},
}


@pytest.fixture(params=LOOKS)
def looks(request: pytest.FixtureRequest, open_page: OpenPage, stack: Stack) -> Page:
    page = open_page(stack.url, reduced_motion="reduce", **LOOKS[request.param])
    settled(page)
    return page


def test_with_bars_and_everything_unfolded(looks: Page) -> None:
    assert_clean(looks, "first visit")
    click_bar(looks, 0)
    click_bar(looks, 1)
    looks.keyboard.press("ArrowLeft")
    looks.locator(".more-open").click()
    looks.locator("#top-p-number").fill("0.5")
    looks.locator("#temperature-number").fill("0.6")
    for name in ("#paths", "#likely", "#steps"):
        looks.locator(f"{name} summary").click()
    settled(looks)
    assert_clean(looks, "everything unfolded, bars cut, a branch behind")
    looks.locator("[data-verb=tally]").click()
    expect(looks.locator(".said")).to_contain_text("100 rolls")
    looks.locator("#seed").fill("")
    expect(looks.locator("#seed-trouble")).to_be_visible()
    assert_clean(looks, "rolled a hundred times")
    looks.locator("#temperature-number").fill("101")
    expect(looks.locator("#temperature-trouble")).to_be_visible()
    assert_clean(looks, "a value out of range")


def test_what_opens_over_the_page(looks: Page) -> None:
    for opener, opened in {
        ".models-open": "#models-list",
        "#examples-open": "#examples",
        "#share-open": "#share-panel",
        ".display-open": "#display",
        "#extras-open": "#extras",
        ".explain-open": "#explain",
    }.items():
        looks.locator(opener).click()
        expect(looks.locator(opened)).to_be_visible()
        assert_clean(looks, opened)
        looks.keyboard.press("Escape")
    looks.keyboard.press("?")
    assert_clean(looks, "list of keys")
    looks.keyboard.press("Escape")
    looks.locator("#tour-offer [data-verb=tour]").click()
    for stop in range(6):
        assert_clean(looks, f"stop {stop} of the tour")
        looks.locator("#tour [data-verb=next]").click()
    expect(looks.locator("#tour")).to_be_hidden()


def test_pinned_bars_on_another_scale_and_a_text_looked_up(looks: Page) -> None:
    looks.locator("#pin").click()
    looks.locator("#temperature-number").fill("0.6")
    settled(looks)
    looks.locator("#pin").click()
    looks.locator(".display-open").click()
    looks.locator("#display [value=log]").check()
    looks.locator("#display [value=logit]").check()
    looks.keyboard.press("Escape")
    looks.locator("#likely summary").click()
    looks.locator("#likely-text").fill("happy to see")
    expect(looks.locator(".chances li")).to_have_count(2)
    expect(looks.locator(".chances [data-waiting]")).to_have_count(0)
    settled(looks)
    assert_clean(looks, "pins, the logarithmic scale, a text looked up")
    looks.locator("#share-open").click()
    looks.locator("[data-share=python]").click()
    expect(looks.locator(".share-code")).to_be_visible()
    assert_clean(looks, "code to share")


def test_the_numbers_of_a_token(looks: Page) -> None:
    looks.locator("#shade-choice").select_option("surprise")
    expect(looks.locator(".shade-words")).to_contain_text("perplexity")
    looks.locator("#tokens .token").nth(3).hover()
    expect(looks.locator("#detail")).to_contain_text("entropy here")
    assert_clean(looks, "the text in colours, a token's numbers open")


def test_before_a_room(looks: Page) -> None:
    looks.keyboard.press("g")
    expect(looks.locator("#guess")).to_be_visible()
    assert_clean(looks, "guess first")
    looks.keyboard.press("p")
    expect(looks.locator("#room-line")).to_be_visible()
    assert_clean(looks, "presenting, bars hidden")
    looks.keyboard.press("v")
    settled(looks)
    assert_clean(looks, "presenting")


@pytest.mark.noted("net::ERR_INTERNET_DISCONNECTED", "the server responded with a status of 400")
def test_without_an_answer(looks: Page) -> None:
    looks.locator("#text").fill("")
    settled(looks)
    assert_clean(looks, "no text")
    write(looks, "مرحبا بالعالم")
    assert_clean(looks, "right to left")
    looks.locator("#text").fill("word " * 600)
    expect(looks.locator("#text-trouble")).to_be_visible()
    assert_clean(looks, "refused text")
    shoot(looks, f"refused-{looks.viewport_size['width'] if looks.viewport_size else 0}")
    looks.context.set_offline(True)
    looks.evaluate("dispatchEvent(new Event('offline'))")  # a machine without a network tells its browser nothing new
    expect(looks.locator("#status[data-tone=bad]")).to_contain_text("offline")
    looks.locator("#text").fill("Once upon")
    assert_clean(looks, "offline")
