"""The view Compare: two questions side by side, over one text, on a wide screen and on a phone."""

import re
from pathlib import Path

import pytest
from axe import assert_clean
from pages import OpenPage, Stack, asked, intercept, number, settled, shoot, write
from playwright.sync_api import Locator, Page, Route, expect
from sharing import copied

TEXT = "It rained all day. The little girl was very"


def compared(page: Page) -> Locator:
    return page.locator(".compare-rows:not([data-stale]) .compare-row:visible")


def begin(page: Page, text: str = TEXT) -> None:
    write(page, text)
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator(".compare-said")).to_contain_text("A and B ask the same")


def warm(page: Page, temperature: str = "0.5") -> None:
    """Another temperature for B; waits for the rows."""
    page.get_by_label("Temperature of B").fill(temperature)
    page.keyboard.press("Enter")
    expect(compared(page).first).to_be_visible()


def values(page: Page, side: str) -> list[float]:
    return [number(words) for words in page.locator(f".compare-value[data-side={side}]:visible").all_inner_texts()]


def test_two_temperatures_of_one_text(page: Page) -> None:
    begin(page)
    warm(page)
    a, b = values(page, "a"), values(page, "b")
    assert len(a) == len(b) == 10
    assert a == sorted(a, reverse=True) or b == sorted(b, reverse=True)
    assert b[0] > a[0]  # colder is surer
    expect(page.locator(".compare-sums")).to_contain_text(re.compile(r"Jensen–Shannon .* bits"))
    expect(page.locator(".compare-sums")).to_contain_text("10 of the first 10 tokens are the same")
    page.set_viewport_size({"width": 1280, "height": 800})
    sums, dock = page.locator(".compare-sums").bounding_box(), page.locator("#controls").bounding_box()
    assert sums
    assert dock
    assert sums["y"] + sums["height"] <= dock["y"]
    page.get_by_role("tab", name="Bars").click()
    settled(page)
    printed = [number(words.partition("\n")[0]) for words in page.locator("#chart .percent:visible").all_inner_texts()]
    assert printed[:10] == pytest.approx(a, abs=0.06)


def test_a_click_appends_to_both_and_the_rows_follow(page: Page) -> None:
    begin(page)
    warm(page)
    compared(page).nth(1).focus()
    page.keyboard.press("ArrowUp")
    expect(compared(page).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).not_to_have_value(TEXT)
    after = page.locator("#text").input_value()
    assert after.startswith(TEXT)
    expect(compared(page).first).to_be_visible()
    expect(page.get_by_label("Text of B")).to_have_value(after)
    page.get_by_role("tab", name="Bars").click()
    settled(page)
    page.keyboard.press("Control+z")
    expect(page.locator("#text")).to_have_value(TEXT)


def test_with_and_without_a_sentence_swapped_and_back(page: Page) -> None:
    begin(page)
    page.get_by_role("button", name="Without the first sentence").click()
    expect(page.get_by_label("Text of B")).to_have_value("The little girl was very")
    expect(compared(page).first).to_be_visible()
    before = values(page, "a"), values(page, "b")
    shoot(page, "compare-1440")
    page.get_by_role("button", name="Swap").click()
    expect(page.locator("#text")).to_have_value("The little girl was very")
    expect(page.get_by_label("Text of B")).to_have_value(TEXT)
    expect(compared(page).first).to_be_visible()
    assert (values(page, "b"), values(page, "a")) == before
    page.get_by_role("button", name="Same text as A").click()
    expect(page.locator(".compare-said")).to_contain_text("A and B ask the same")
    page.get_by_role("button", name="Back to bars").click()
    expect(page.locator("#chart")).to_be_visible()


def test_another_model_and_a_text_of_its_own(page: Page, second_model: Path) -> None:
    begin(page)
    page.get_by_label("Model of B").select_option(label=second_model.name)
    page.get_by_label("Text of B").fill("Once upon a")
    expect(compared(page).first).to_be_visible()
    assert "time" in compared(page).first.inner_text() + compared(page).nth(1).inner_text()
    page.get_by_role("button", name="Pin A").click()
    page.get_by_role("tab", name="Bars").click()
    expect(page.locator("#pins")).to_contain_text("A")


def test_one_text_under_two_models_token_by_token(page: Page, second_model: Path) -> None:
    scored = asked(page, "/api/score")
    begin(page)
    warm(page)
    expect(page.locator(".compare-scores")).to_be_hidden()
    assert scored == [], "one model says the same of it at any temperature"
    page.get_by_label("Model of B").select_option(label=second_model.name)
    chips = page.locator(".difference")
    expect(chips.first).to_be_visible()
    tokens = page.locator("#prompt .token:not(.special)").all_text_contents()
    assert chips.locator(".pieces").all_text_contents()[-len(tokens) :] == tokens
    assert set(page.locator(".difference-bits").all_text_contents()) <= {"±0", "—"}  # the same weights
    expect(page.locator(".differences-sum")).to_contain_text("The text is equally likely under both models.")
    expect(chips.last).to_have_attribute("aria-label", re.compile(r"^space very: equally likely under both; A .*%, B "))
    assert [request["model"] for request in scored] == ["bundled", str(second_model)]
    assert scored[0]["token_ids"] == scored[1]["token_ids"]  # both have the same tokens
    chips.last.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#prompt .token[aria-current]")).to_have_text(tokens[-2])
    expect(page.locator(".difference[aria-current] .pieces")).to_have_text(tokens[-2])
    assert len(scored) == 2, "another place of the same text needs nothing new"
    expect(compared(page).first).to_be_visible()
    page.get_by_label("Text of B").fill("Once upon a")
    expect(page.locator(".compare-scores")).to_be_hidden()


def test_scores_that_come_late_are_not_shown_for_another_text(page: Page, second_model: Path) -> None:
    held: list[Route] = []
    begin(page)
    intercept(page, "**/api/score", lambda route: held.append(route))
    page.get_by_label("Model of B").select_option(label=second_model.name)
    expect(page.locator(".differences-said")).to_have_text("Scoring the text with both models…")
    while not held:
        page.wait_for_timeout(20)
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/api/score")):
        page.locator("#text").fill("Tom and his dog")
    page.unroute_all()
    chips = page.locator(".difference .pieces")
    expect(chips.last).to_have_text("dog")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/api/score")):
        intercept(page, "**/api/score", lambda route: held.append(route))
        count = len(held)
        page.locator("#text").fill("Tom and his cat")
        while len(held) == count:
            page.wait_for_timeout(20)
        page.get_by_role("tab", name="Bars").click()


def test_a_phone_has_two_bars_per_row_and_axe_finds_nothing(
    open_page: OpenPage, stack: Stack, second_model: Path
) -> None:
    page = open_page(stack.url, viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    settled(page)
    begin(page)
    assert_clean(page, "compare, the same")
    warm(page)
    page.get_by_label("Model of B").select_option(label=second_model.name)
    expect(page.locator(".difference").first).to_be_visible()
    assert_clean(page, "compare")
    row = compared(page).first
    boxes = [row.locator(f".compare-track[data-side={side}]").bounding_box() for side in "ab"]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["x"] == boxes[1]["x"]
    assert boxes[0]["y"] < boxes[1]["y"]
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
    shoot(page, "compare-360")
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize(("width", "height", "scheme"), [(360, 640, "light"), (390, 800, "dark")])
def test_a_phone_shows_five_rows_above_the_controls(
    open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=True)
    settled(page)
    begin(page)
    warm(page)
    page.mouse.wheel(0, -2000)
    fifth, dock = compared(page).nth(4).bounding_box(), page.locator("#controls").bounding_box()
    assert fifth
    assert dock
    assert fifth["y"] + fifth["height"] <= dock["y"]
    shoot(page, f"compare-{width}-{height}")


def test_b_survives_a_reload_and_a_link_and_a_temperature_out_of_range_is_refused_in_words(
    page: Page, open_page: OpenPage
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    begin(page)
    warm(page)
    sums = page.locator(".compare-sums")
    warmer = sums.inner_text()
    page.get_by_label("Text of B").fill("Tom and his dog")
    expect(sums).not_to_have_text(warmer, use_inner_text=True)
    before = values(page, "b")
    page.get_by_label("Temperature of B").fill("500")
    expect(page.locator("#compare-trouble")).to_have_text("Temperature of B must be a number from 0 to 100.")
    page.reload()
    expect(page.get_by_label("Temperature of B")).to_have_value("0.5")
    expect(page.get_by_label("Text of B")).to_have_value("Tom and his dog")
    expect(compared(page).first).to_be_visible()
    assert values(page, "b") == before
    there = open_page(copied(page, "Copy link"))
    expect(there.get_by_label("Text of B")).to_have_value("Tom and his dog")
    expect(there.get_by_label("Temperature of B")).to_have_value("0.5")
    expect(compared(there).first).to_be_visible()
    assert values(there, "b") == before
