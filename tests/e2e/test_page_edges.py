"""What stands at an edge is neither covered, clipped nor squeezed."""

import re

import pytest
from pages import OpenPage, Stack, generating, open_tab, settled, write
from playwright.sync_api import Locator, Page, expect

TEXT = "The little girl was very"
PHONE = {"width": 390, "height": 844}
LINES = """words => {
  const range = document.createRange();
  range.selectNodeContents(words);
  return [...range.getClientRects()].map(({ width }) => width);
}"""


def sides(locator: Locator) -> dict[str, float]:
    """Where an element's box begins and ends."""
    box = locator.bounding_box()
    assert box
    return {"left": box["x"], "top": box["y"], "right": box["x"] + box["width"], "bottom": box["y"] + box["height"]}


@pytest.mark.parametrize("width", [320, 390, 1440])
@pytest.mark.parametrize("column", ["Log-probability", "Logit, before temperature"])
def test_the_scale_stands_above_the_bars_beside_the_name_of_the_numbers(
    open_page: OpenPage, stack: Stack, width: int, column: str
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": 900})
    settled(page)
    page.get_by_role("button", name="View").click()
    view = page.get_by_role("dialog", name="View")
    view.get_by_label("Logarithmic").check()
    view.get_by_label(column).check()
    page.keyboard.press("Escape")
    expect(page.locator(".column-name")).to_be_visible()
    name, first = sides(page.locator(".column-name")), sides(page.locator("#chart .row .track").first)
    for mark in page.locator(".track-marks span:visible").all():
        place = sides(mark)
        assert place["bottom"] <= first["top"], mark.inner_text()
        assert place["right"] <= name["left"], mark.inner_text()


def test_the_arrow_beside_a_long_model_s_name_keeps_its_shape(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.locator(".models-name").evaluate("name => { name.textContent = 'SmolLM2-1.7B-Instruct-with-a-longer-name'; }")
    arrow = sides(page.locator(".models-open .icon"))
    assert arrow["right"] - arrow["left"] == pytest.approx(arrow["bottom"] - arrow["top"], abs=0.1)


@pytest.mark.parametrize(("width", "lines"), [(320, 2), (390, 1)])
def test_the_reason_beside_a_removed_token_breaks_between_words(
    open_page: OpenPage, stack: Stack, width: int, lines: int
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": 844})
    write(page, TEXT)
    open_tab(page, "Settings")
    page.get_by_role("spinbutton", name="Top-p as a number").fill("0.1")
    settled(page)
    reason = page.locator("#chart .fell:not(:empty)").first
    expect(reason).to_have_text("removed by top-p")
    widths = reason.evaluate(LINES)
    assert len(widths) == lines
    assert min(widths) > max(widths) / 2, "no letter stands alone"


@pytest.mark.parametrize("width", [320, 1440])
def test_what_a_sampler_step_left_is_no_column_of_words(open_page: OpenPage, stack: Stack, width: int) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": 900})
    write(page, TEXT)
    open_tab(page, "Settings")
    page.locator("#samplers summary").click()
    page.get_by_role("checkbox", name="Repetition penalty").check()
    left = page.locator(".sampler-steps > li", has_text="Repetition penalty").locator(".sampler-left")
    expect(left).to_have_text(re.compile("100.%"))
    assert len(left.evaluate(LINES)) <= 2
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("view", ["Bars", "Tree", "Compare"])
def test_what_a_phone_says_above_its_controls_hides_nothing_that_can_be_scrolled_to(
    open_page: OpenPage, stack: Stack, view: str
) -> None:
    page = open_page(stack.url, viewport=PHONE)
    write(page, TEXT)
    page.get_by_role("tab", name=view).click()
    generating(page, (5, ","))
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#prompt .token")).not_to_have_count(6)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".said")).to_contain_text("Stopped")
    last = page.locator({"Bars": "#chart .others", "Tree": ".tree-frame", "Compare": ".compare-acts"}[view]).last
    expect(last).to_be_visible()
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    assert sides(last)["bottom"] <= sides(page.locator(".said"))["top"]
    assert sides(page.locator(".dock"))["bottom"] == pytest.approx(PHONE["height"], abs=1), "the controls stay put"


RING = """editor => {
  const { outlineOffset, outlineWidth } = getComputedStyle(editor);
  const reach = parseFloat(outlineOffset) + parseFloat(outlineWidth);
  const inner = editor.getBoundingClientRect(), outer = editor.closest(".turns").getBoundingClientRect();
  return { reach, room: Math.min(inner.top - outer.top, inner.left - outer.left, outer.right - inner.right) };
}"""


def test_the_ring_around_a_message_is_whole(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport=PHONE)
    settled(page)
    page.locator(".models-open").click()
    page.locator("#models-list").get_by_role("button", name="second-model").click()
    page.get_by_role("tab", name="Chat").click()
    editor = page.locator(".turn textarea:visible").first
    editor.click()
    expect(editor).to_be_focused()
    ring = editor.evaluate(RING)
    assert ring["reach"] > 0
    assert ring["room"] >= ring["reach"]


@pytest.mark.parametrize(("width", "height", "inspecting"), [(320, 640, False), (390, 640, False), (768, 1024, True)])
def test_the_way_to_the_hidden_bars_stands_above_the_controls(
    open_page: OpenPage, stack: Stack, width: int, height: int, inspecting: bool
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height})
    write(page, TEXT)
    page.locator("#pin").click()
    if inspecting:
        open_tab(page, "Layers")
    page.locator("#extras-open").click()
    page.get_by_role("button", name="Guess first").click()
    show = page.get_by_role("button", name="Show the bars")
    expect(show).to_be_visible()
    page.evaluate("window.scrollTo(0, 0)")
    assert sides(show)["bottom"] <= sides(page.locator(".controls"))["top"]
