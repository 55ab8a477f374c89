"""The frame: an inspector beside the chart or below it, whose tabs load when first opened, and remember it."""

import itertools
import re
from typing import Any

import pytest
from axe import assert_clean
from pages import OpenPage, Stack, click_bar, focused, intercept, look_at, open_tab, rows, settled, shoot
from playwright.sync_api import Page, expect

KEYS_OR_STAGE = re.compile(r"/features/(keys|presentation)/style\.css$")


def loaded(page: Page, file: str) -> int:
    """How often the page has loaded that file."""
    return int(
        page.evaluate(
            "file => performance.getEntriesByType('resource').filter(({name}) => name.endsWith(file)).length", file
        )
    )


def box(page: Page, selector: str) -> dict[str, float]:
    found = page.locator(selector).first.bounding_box()
    assert found, selector
    return {"x": found["x"], "y": found["y"], "width": found["width"], "height": found["height"]}


def test_the_inspector_opens_beside_the_chart_and_its_tabs_load_when_first_opened(page: Page) -> None:
    expect(page.locator("#inspector")).to_be_hidden()
    expect(page.locator("#views").get_by_role("tab")).to_have_text(["Bars", "Tree", "Compare"])
    assert loaded(page, "paths/view.js") == 0
    open_tab(page, "Paths")
    assert loaded(page, "paths/view.js") == 1
    assert loaded(page, "likely/view.js") == 0
    inspector, chart = box(page, "#inspector"), box(page, "#chart")
    assert inspector["x"] >= chart["x"] + chart["width"]
    expect(rows(page).nth(9)).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollHeight") <= 900
    click_bar(page, 0)
    expect(page.locator("#paths .path")).to_have_count(2)
    page.keyboard.press("l")
    expect(page.locator("#likely-text")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#inspector")).to_be_hidden()
    assert focused(page) == "inspector-open"
    page.keyboard.press("i")
    expect(page.get_by_role("tab", name="Numbers")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Paths")).to_be_focused()
    expect(page.locator("#paths")).to_be_visible()
    page.reload()
    settled(page)
    expect(page.locator("#paths .path")).to_have_count(2)
    page.locator(".more-open").click()
    expect(page.locator("#top-p")).to_be_visible()
    page.locator(".more-open").click()
    expect(page.locator("#inspector")).to_be_hidden()
    page.reload()
    settled(page)
    expect(page.locator("#inspector")).to_be_hidden()


def test_the_keyboard_leaves_the_inspector_as_it_came_and_takes_no_token_back_there(page: Page) -> None:
    rows(page).first.focus()
    page.keyboard.press("i")
    expect(page.get_by_role("tab", name="Paths")).to_be_focused()
    text = page.locator("#text").input_value()
    page.keyboard.press("Tab")
    expect(page.locator(".inspector-close")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("i")
    expect(page.locator("#inspector")).to_be_hidden()
    expect(page.locator("#inspector-open")).to_be_focused()
    assert page.locator("#text").input_value() == text


@pytest.mark.parametrize(("width", "height"), [(768, 1024), (1280, 800), (1920, 1080)])
def test_all_bars_stand_above_the_controls_also_at_an_earlier_token(
    open_page: OpenPage, stack: Stack, width: int, height: int
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, reduced_motion="reduce")
    settled(page)

    def clear() -> bool:
        others = box(page, "#chart .others")
        return others["y"] + others["height"] <= box(page, "#controls")["y"]

    assert clear()
    click_bar(page, 0)
    look_at(page, 3)
    assert clear(), "the line above the bars takes room"


@pytest.mark.noted("net::ERR_FAILED")
def test_a_tab_that_did_not_load_says_so_and_loads_on_a_second_try(page: Page) -> None:
    intercept(page, "**/paths/style.css", lambda route: route.abort(), times=1)
    page.locator("#inspector-open").click()
    expect(page.locator("#panel-paths")).to_contain_text("This part of the page didn’t load.")
    page.locator("#panel-paths").get_by_role("button", name="Try again").click()
    expect(page.locator("#paths .path")).to_have_count(1)


@pytest.mark.noted("net::ERR_FAILED")
def test_what_appears_later_and_did_not_load_says_so_and_loads_on_a_second_try(page: Page) -> None:
    words = "This part of the page didn’t load."
    intercept(page, KEYS_OR_STAGE, lambda route: route.abort())
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text(words)
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("p")
    expect(page.locator("#room-line")).to_contain_text(words)
    page.unroute_all()
    page.locator("#room-line").get_by_role("button", name="Try again").click()
    expect(page.locator("#stage")).to_be_attached()
    expect(page.locator("html[data-presenting]")).to_be_attached()
    page.keyboard.press("Escape")
    expect(page.locator("#room-line")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("checkbox", name="Single-key shortcuts")).to_be_checked()
    expect(page.locator("#keys")).not_to_contain_text(words)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (2560, 1440)])
def test_a_wide_screen_shows_paths_and_numbers_beside_the_bars(
    open_page: OpenPage, stack: Stack, width: int, height: int
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, reduced_motion="reduce")
    settled(page)
    expect(page.locator("#paths .path")).to_be_visible()
    expect(page.locator("#steps li")).to_have_count(5)
    paths, numbers, chart = (box(page, each) for each in ("#panel-paths", "#panel-numbers", "#chart"))
    assert paths["x"] >= chart["x"] + chart["width"]
    side_by_side = numbers["x"] >= paths["x"] + paths["width"]
    assert side_by_side == (width == 2560)
    expect(rows(page).nth(9)).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.documentElement.scrollHeight") <= height
    assert_clean(page, f"paths and numbers at {width}")
    shoot(page, f"inspector-{width}")
    page.keyboard.press("p")
    expect(page.locator("#inspector")).to_be_hidden()
    track = box(page, "#chart .track")
    assert track["width"] > width / 3, "presenting, the bars have the whole width"
    page.keyboard.press("Escape")
    page.locator(".inspector-close").click()
    page.reload()
    settled(page)
    expect(page.locator("#inspector")).to_be_hidden()


@pytest.mark.parametrize(("width", "height"), [(320, 640), (360, 740)])
def test_a_phone_has_one_line_of_controls_and_a_sheet_with_bars_in_view(
    open_page: OpenPage, stack: Stack, width: int, height: int
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    settled(page)
    line = [
        box(page, each)
        for each in ("#temperature", "#actions [data-verb=roll]", "#actions [data-verb=write]", ".more-open")
    ]
    for left, right in itertools.pairwise(line):
        assert left["x"] + left["width"] <= right["x"]
        assert abs(left["y"] + left["height"] / 2 - right["y"] - right["height"] / 2) < 24
    controls = box(page, "#controls")
    assert controls["height"] <= 88
    page.locator(".more-open").tap()
    expect(page.locator("#settings")).to_be_visible()
    assert box(page, "#inspector")["height"] <= height / 2
    seen = box(page, "#controls")["y"]
    third = rows(page).nth(2).bounding_box()
    assert third
    assert third["y"] + third["height"] <= seen
    for name in ("#top-k", "#top-p"):
        expect(page.locator(name)).to_be_in_viewport(ratio=1)
    page.get_by_role("tab", name="Paths").tap()
    expect(page.locator("#paths .path")).to_be_in_viewport()
    page.locator("#actions [data-verb=roll]").tap()
    expect(page.locator("#paths .path-total").last).to_have_text(re.compile(r"%$"))
    settled(page)
    shoot(page, f"sheet-{width}")
    assert_clean(page, f"a sheet at {width}")
    page.locator(".more-open").tap()
    expect(page.locator("#inspector")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_settings_of_a_phone_are_found_again_on_a_wide_screen(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 360, "height": 740})
    settled(page)
    expect(page.locator("#top-k")).to_be_hidden()
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(page.locator("#controls #top-k")).to_be_visible()


def test_menus_of_a_touch_screen_show_no_letter_keys(open_page: OpenPage, stack: Stack) -> None:
    options: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = open_page(stack.url, **options)
    settled(page)
    page.locator("#extras-open").tap()
    expect(page.locator("#extras [data-verb=guess]")).to_be_visible()
    expect(page.locator("#extras kbd:visible")).to_have_count(0)


def test_forced_colours_keep_the_legend_s_swatch_and_everything_within_the_page(
    open_page: OpenPage, stack: Stack
) -> None:
    page = open_page(stack.url, forced_colors="active")
    settled(page)
    page.locator("#temperature-number").fill("0.5")
    settled(page)
    swatch = page.locator(".chart-legend").evaluate(
        "each => [getComputedStyle(each, '::before').backgroundColor, getComputedStyle(document.body).backgroundColor]"
    )
    assert swatch[0] != swatch[1]
    chart, view = box(page, "#chart"), box(page, ".display-open")
    assert view["x"] + view["width"] <= chart["x"] + chart["width"] + 0.5
    page.locator(".display-open").click()
    page.locator("#display [value=logprob]").check()
    expect(page.locator(".column-name")).to_have_text("log-probability")
    page.keyboard.press("Escape")
    heading, number = box(page, ".column-name"), box(page, "#chart .percent")
    assert abs(heading["x"] + heading["width"] - number["x"] - number["width"]) <= 10
    assert_clean(page, "forced colours, a column of log-probabilities")
    open_tab(page, "Paths")
    assert_clean(page, "forced colours, with the inspector")


def test_counts_of_rolls_stand_clear_of_pins_and_pale_bars(page: Page) -> None:
    page.locator("#pin").click()
    page.locator("#temperature-number").fill("1.3")
    open_tab(page, "Settings")
    page.locator("#min-p-number").fill("0.02")
    settled(page)
    page.locator("[data-verb=tally]").click()
    expect(page.locator(".count-words:visible").first).to_have_text(re.compile(r"×$"))
    settled(page)
    shoot(page, "rolls-pins-1440")
    short = page.locator("#chart li:not([data-fell]) .track").evaluate_all(
        """(tracks) => tracks.map((track) => {
          const edges = (selector) => track.querySelector(selector).getBoundingClientRect();
          const pale = edges(".bar-raw").right;
          const share = (pale - track.getBoundingClientRect().left) / track.offsetWidth;
          return { share, clear: edges(".count-words").left >= pale };
        })"""
    )
    assert all(each["clear"] for each in short if each["share"] < 0.8)
