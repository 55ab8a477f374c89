"""How it looks: every width, light and dark, without a horizontal scroll; and what keeps it readable."""

import re
from typing import Literal

import pytest
from pages import OpenPage, Stack, click_bar, redrawn, rows, settled, shoot, write
from playwright.sync_api import Page, expect

MOST_TOUCHED = "#text, .row, .actions button, input[type=range], .models-open, .menus > button"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LATER_SIZES = {360: 740, 768: 1024, 1440: 900, 1920: 1080}
SIZES = {320: 640, 360: 740, 768: 1024, 1440: 900, 2560: 1440}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", SIZES)
def test_at_every_width(open_page: OpenPage, stack: Stack, width: int, scheme: str) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme)
    settled(page)
    click_bar(page, 0)
    click_bar(page, 1)
    page.evaluate("scrollTo(0, 0)")
    shoot(page, f"page-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator(".models-open").click()
    expect(page.locator(".models-list")).to_be_in_viewport(ratio=1)
    shoot(page, f"models-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def show_tree(page: Page) -> None:
    page.get_by_role("tab", name="Tree").click()
    page.get_by_role("button", name="Grow this text").click()
    expect(page.locator(".tree-said")).to_contain_text("is not shown")


def show_chat(page: Page) -> None:
    page.locator(".models-open").click()
    page.locator("#models-list").get_by_role("button", name=re.compile("second-model")).first.click()
    page.get_by_role("tab", name="Chat").click()
    expect(page.locator(".chat-line .prompt-count")).to_have_text(re.compile(r"\d+ tokens"))
    settled(page)
    rows(page).first.click()
    expect(page.locator(".turn[data-open] .token:not(.ghost)")).to_have_count(1)
    page.get_by_label("Show template").check()
    settled(page)


def show_compare(page: Page) -> None:
    write(page, "It rained all day. The little girl was very")
    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Model of B").select_option(label="second-model")
    expect(page.locator(".difference").first).to_be_visible()


def test_what_loads_later_at_every_width(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, reduced_motion="reduce")
    settled(page)
    for name, show in {"tree": show_tree, "compare": show_compare, "chat": show_chat}.items():
        show(page)
        for width, height in LATER_SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                redrawn(page)
                shoot(page, f"{name}-{width}-{scheme}")
                assert page.evaluate("document.documentElement.scrollWidth") == width, f"{name}, {scheme}"
        page.set_viewport_size({"width": 1440, "height": 900})
        page.get_by_role("tab", name="Bars").click()


@pytest.mark.parametrize("width", [320, 360])
def test_text_five_bars_and_actions_share_the_first_screen_of_a_phone(
    open_page: OpenPage, stack: Stack, width: int
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True)
    settled(page)
    for selector in ("#text", ".prompt-moves", "#temperature", ".more-open"):
        expect(page.locator(selector)).to_be_in_viewport(ratio=1)
    controls = page.locator("#controls").bounding_box()
    assert controls
    for index in range(5):
        box = rows(page).nth(index).bounding_box()
        assert box
        assert box["y"] + box["height"] <= controls["y"], "a bar is under the controls"
    rows(page).nth(2).tap()
    settled(page)
    shoot(page, f"phone-{width}")
    write(page, "مرحبا بالعالم مرحبا بالعالم")
    cut = page.locator("#tokens").evaluate(
        """(strip) => [...strip.children]
          .map(({ offsetTop, offsetHeight }) => ({ top: offsetTop - strip.scrollTop, height: offsetHeight }))
          .filter(({ top, height }) => top < 0 && top + height > 0).length"""
    )
    assert cut == 0, "of a long text whole rows of tokens are seen"


def test_the_chart_takes_half_of_a_desktop_screen(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url)
    settled(page)
    box = page.locator("#chart").bounding_box()
    assert box
    assert box["height"] >= 450
    assert page.evaluate("document.documentElement.scrollHeight") <= 900


def test_reduced_motion_moves_nothing(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, reduced_motion="reduce")
    settled(page)
    page.evaluate("window.moved = 0; Element.prototype.animate = function () { window.moved++; return {}; }; null")
    click_bar(page, 0)
    assert page.evaluate("moved") == 0
    assert page.locator("#chart .bar").first.evaluate("each => getComputedStyle(each).transitionDuration") == "0s"


def test_forced_colours_keep_the_bars(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, forced_colors="active")
    settled(page)
    bar, track = (
        page.locator(f"#chart .row .{name}").first.evaluate("each => getComputedStyle(each).backgroundColor")
        for name in ("bar", "track")
    )
    assert bar != track
    shoot(page, "forced-colours-1440")


def test_text_from_right_to_left(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url)
    settled(page)
    page.locator("#text").fill("مرحبا بالعالم")
    settled(page)
    first, second = (page.locator("#prompt .token").nth(index).bounding_box() for index in (0, 1))
    assert first
    assert second
    assert first["x"] > second["x"], "the first token stands at the right"
    shoot(page, "right-to-left-1440")


def test_more_on_a_phone_leaves_the_text_and_the_bars_in_sight(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    settled(page)
    page.locator(".more-open").tap()
    settled(page)
    assert page.evaluate("scrollY") == 0
    expect(page.locator("#text")).to_be_in_viewport(ratio=1)
    controls = page.locator("#controls").bounding_box()
    assert controls
    assert controls["height"] <= 0.35 * 740
    fourth = rows(page).nth(3).bounding_box()
    assert fourth
    assert fourth["y"] + fourth["height"] <= controls["y"]
    page.locator("#pace").scroll_into_view_if_needed()
    expect(page.locator("#pace")).to_be_in_viewport(ratio=0.9)
    expect(page.locator("#text")).to_be_in_viewport(ratio=1)
    shoot(page, "phone-more-360")


def test_what_a_finger_touches_is_24_pixels_at_least_and_44_where_it_touches_most(
    open_page: OpenPage, stack: Stack
) -> None:
    page = open_page(stack.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    write(page, "A b c, d! مرحبا")
    page.locator(".more-open").tap()
    page.locator("#text").blur()
    for touched, least in {"button, input, summary, textarea, select": 24, MOST_TOUCHED: 44}.items():
        small = page.evaluate(
            """([selector, least]) => [...document.querySelectorAll(selector)]
              .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.matches("label *"))
              .map((each) => ({ box: each.getBoundingClientRect(), name: each.id || each.className }))
              .filter(({ box }) => box.height < least || box.width < least)
              .map(({ box, name }) => `${name} ${box.width}x${box.height}`)""",
            [touched, least],
        )
        assert small == []
    page.keyboard.press("?")
    label = page.locator("#keys label").bounding_box()
    assert label
    assert label["height"] >= 24


def test_twice_the_type_needs_no_horizontal_scroll(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 640, "height": 900})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 640
    shoot(page, "large-type-640")


def test_at_400_percent_the_controls_leave_room_for_the_text(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 320, "height": 256})  # 1280 × 1024, zoomed
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    expect(page.locator("#text")).to_be_in_viewport(ratio=1)
    page.locator("#temperature").focus()
    expect(page.locator("#temperature")).to_be_in_viewport(ratio=1)
    shoot(page, "zoomed-320")
