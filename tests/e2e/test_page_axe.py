"""axe-core finds nothing in any state of the page: light, dark, in forced colours and on a phone."""

import pytest
from axe import assert_clean
from pages import (
    OpenPage,
    Stack,
    branch_at,
    click_bar,
    intercept,
    look_at,
    open_tab,
    rows,
    settled,
    shoot,
    stay_in_window,
    write,
)
from playwright.sync_api import Page, expect


@pytest.fixture
def still(open_page: OpenPage, stack: Stack) -> Page:
    """The page without motion: colours on their way to others are none's fault."""
    page = open_page(stack.url, reduced_motion="reduce")
    settled(page)
    return page


def test_with_bars_and_each_tab_of_the_inspector(still: Page) -> None:
    assert_clean(still, "first visit")
    click_bar(still, 0)
    branch_at(still, 4, 1)
    open_tab(still, "Numbers")
    settled(still)
    assert_clean(still, "how the numbers are calculated")
    open_tab(still, "Settings")
    still.locator("#top-p-number").fill("0.5")
    still.locator("#temperature-number").fill("0.6")
    settled(still)
    assert_clean(still, "settings, bars cut")
    still.locator("#samplers summary").click()
    still.get_by_label("Top-k", exact=True).check()
    still.get_by_label("Logit bias", exact=True).check()
    still.locator("[data-step=logit_bias]").get_by_role("button", name="Add").click()
    still.get_by_label("Top-k: k").fill("3")
    settled(still)
    still.get_by_label("Mask", exact=True).check()
    still.get_by_label("Mask: Choices").fill(", a\n, there")
    still.get_by_label("Mask: Choices").blur()
    expect(still.locator("[data-step=mask] .sampler-left")).to_contain_text("left")
    settled(still)
    assert_clean(still, "sampler steps, a mask, bars fallen")
    still.get_by_role("button", name="Reset").click()
    open_tab(still, "Paths")
    assert_clean(still, "two branches")
    still.locator("#paths .path-remove:not([data-none])").last.click()
    expect(still.locator(".paths-removed")).to_be_visible()
    assert_clean(still, "a branch deleted")
    open_tab(still, "Settings")
    still.locator("[data-verb=tally]").click()
    expect(still.locator(".said")).to_contain_text("100 rolls")
    still.locator("#seed").fill("")
    expect(still.locator("#seed-trouble")).to_be_visible()
    still.locator("#temperature-number").fill("101")
    expect(still.locator("#temperature-trouble")).to_be_visible()
    assert_clean(still, "rolled a hundred times, values out of range")


def test_what_opens_over_the_page(still: Page) -> None:
    for opener, opened in {
        ".models-open": "#models-list",
        "#examples-open": "#examples",
        "#share-open": "#share-panel",
        ".display-open": "#display",
        "#extras-open": "#extras",
        ".explain-open": "#explain",
    }.items():
        still.locator(opener).click()
        expect(still.locator(opened)).to_be_visible()
        assert_clean(still, opened)
        expect(still.locator(opened)).to_be_visible()
        still.keyboard.press("Escape")
    still.keyboard.press("?")
    assert_clean(still, "list of keys")
    still.keyboard.press("Escape")
    still.locator("#tour-offer [data-verb=tour]").click()
    for stop in range(6):
        assert_clean(still, f"stop {stop} of the tour")
        still.locator("#tour [data-verb=next]").click()
    expect(still.locator("#tour")).to_be_hidden()


def test_pinned_bars_on_another_scale_and_a_text_looked_up(still: Page) -> None:
    still.locator("#pin").click()
    still.locator("#temperature-number").fill("0.6")
    settled(still)
    still.locator("#pin").click()
    still.locator(".display-open").click()
    still.locator("#display [value=log]").check()
    still.locator("#display [value=logit]").check()
    still.keyboard.press("Escape")
    open_tab(still, "Numbers")
    still.locator("#likely-text").fill("happy to see")
    expect(still.locator(".chances li")).to_have_count(2)
    expect(still.locator(".chances [data-waiting]")).to_have_count(0)
    settled(still)
    assert_clean(still, "pins, the logarithmic scale, a text looked up")
    still.locator(".pin-remove").first.click()
    expect(still.locator(".pins-removed")).to_be_visible()
    still.locator("#share-open").click()
    still.locator("[data-share=python]").click()
    expect(still.locator(".share-code")).to_be_visible()
    assert_clean(still, "a pin removed, code to share")


def test_the_numbers_of_a_token(still: Page) -> None:
    still.locator("#shade-choice").select_option("surprise")
    expect(still.locator(".shade-words")).to_contain_text("perplexity")
    look_at(still, 3)
    still.mouse.move(0, 0)
    still.keyboard.press("ArrowLeft")
    card = still.locator("#detail")
    expect(card).to_contain_text("entropy here")
    assert_clean(still, "the text in colours, its fourth token looked at, the numbers of the third open")
    expect(card).to_be_visible()


def test_before_a_room(still: Page) -> None:
    stay_in_window(still)
    still.keyboard.press("g")
    expect(still.locator("#guess")).to_be_visible()
    assert_clean(still, "guess first")
    still.keyboard.press("p")
    expect(still.locator("#room-line")).to_be_visible()
    assert_clean(still, "presenting, bars hidden")
    still.keyboard.press("v")
    settled(still)
    assert_clean(still, "presenting")


@pytest.mark.noted("net::ERR_INTERNET_DISCONNECTED", "the server responded with a status of 400")
def test_without_an_answer(still: Page) -> None:
    stay_in_window(still)
    still.locator("#extras-open").click()
    still.locator("#extras [data-verb=present]").click()
    expect(still.locator("#stage")).to_be_visible()  # loaded before there is no network
    still.keyboard.press("Escape")
    expect(still.locator("#stage")).to_be_hidden()
    still.locator("#text").fill("")
    settled(still)
    assert_clean(still, "no text")
    write(still, "مرحبا بالعالم")
    assert_clean(still, "right to left")
    still.locator("#text").fill("word " * 600)
    expect(still.locator("#text-trouble")).to_be_visible()
    assert_clean(still, "refused text")
    shoot(still, "refused-1440")
    write(still, "Once upon")
    intercept(still, "**/api/next-token", lambda route: route.fulfill(status=200, json={}), times=1)
    rows(still).first.click()
    expect(still.locator(".chart-trouble")).to_be_visible()
    assert_clean(still, "an answer that is none")
    still.context.set_offline(True)
    still.evaluate("dispatchEvent(new Event('offline'))")  # a machine without a network tells its browser nothing new
    expect(still.locator("#status[data-tone=bad]")).to_contain_text("offline")
    still.locator("#text").fill("Once upon")
    assert_clean(still, "offline")
    still.locator("#text").blur()
    still.keyboard.press("p")
    expect(still.locator("html[data-presenting]")).to_have_count(1)
    assert_clean(still, "presenting, offline")
