"""The view Tree: what was tried, left to right; what is grown, until it is taken; by mouse, keyboard and touch."""

import re

from axe import assert_clean
from pages import OpenPage, Stack, branch_at, click_bar, redrawn, settled, shoot, write
from playwright.sync_api import Locator, Page, expect

TEXT = "The little girl was very"

# Notes of all words on a canvas where they lie, in pixels of the page, and how wide and high their box is.
WATCH = """
globalThis.boxes = {};
const { fillRect, fillText } = CanvasRenderingContext2D.prototype;
let box = null;
CanvasRenderingContext2D.prototype.fillRect = function (...all) { box = all; fillRect.apply(this, all); };
CanvasRenderingContext2D.prototype.fillText = function (words, x, y) {
  const { a, e, f } = this.getTransform();
  boxes[words] = [(a * x + e) / devicePixelRatio, (a * y + f) / devicePixelRatio,
    box[2], this.measureText(words).width + x - box[0], a * box[3]];
  fillText.call(this, words, x, y);
};
"""


def item(page: Page) -> Locator:
    """What the keyboard is at, as screen readers are told."""
    return page.get_by_role("treeitem")


def begin(page: Page) -> None:
    """The tree of a text with two branches."""
    write(page, TEXT)
    page.keyboard.press("Escape")
    click_bar(page, 0)
    branch_at(page, 6, 2)
    page.get_by_role("tab", name="Tree").click()
    expect(item(page)).to_contain_text("the text ends here")


def grow(page: Page, branches: str = "50") -> None:
    page.get_by_label("Branches").select_option(branches)
    page.get_by_role("button", name="Grow", exact=True).click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.locator(".tree-said")).to_have_text(re.compile(r"^\d[\d,]* branches: .* is not shown\.$"))


def drawn(page: Page) -> str:
    """The picture as it is now."""
    redrawn(page)
    return str(page.locator(".tree-stage canvas").evaluate("(canvas) => canvas.toDataURL()"))


def pinch(page: Page, start: int, end: int) -> None:
    """Two fingers on the tree that move from `start` to `end` pixels apart."""
    box = page.locator(".tree-stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, apart: float | None) -> None:
        points = [] if apart is None else [{"x": x + by * apart / 2, "y": y, "id": at} for at, by in enumerate((-1, 1))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", start)
    for step in range(1, 6):
        fingers("touchMove", start + (end - start) * step / 5)
    fingers("touchEnd", None)
    touch.detach()


def test_arrow_keys_walk_and_enter_makes_a_branch_the_text(page: Page) -> None:
    begin(page)
    second = page.locator("#text").input_value()
    expect(page.get_by_role("button", name="Grow this text")).to_be_hidden()  # something branches
    stage = page.locator(".tree-stage")
    stage.focus()
    announced = [stage.get_attribute("aria-activedescendant")]
    page.keyboard.press("ArrowUp")
    announced.append(stage.get_attribute("aria-activedescendant"))
    assert announced[0] != announced[1] == item(page).get_attribute("id")
    expect(item(page)).to_contain_text("tried")
    expect(item(page)).not_to_contain_text("the text ends here")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).not_to_have_value(second)
    assert page.locator("#text").input_value().startswith(TEXT)
    expect(item(page)).to_contain_text("the text ends here")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value(TEXT)
    for key in ("+", "-", "0"):
        page.keyboard.press(key)
    shoot(page, "tree-1440")


def test_a_grown_branch_is_taken_by_keyboard_and_undone(page: Page) -> None:
    begin(page)
    before = page.locator("#text").input_value()
    grow(page)
    page.locator(".tree-stage").focus()
    page.keyboard.press("ArrowRight")
    expect(item(page)).to_have_text(re.compile(r", [\d.]+.% from the fork, [\d.]+.% from the start, grown$"))
    shoot(page, "tree-grown-1440")
    page.keyboard.press("Enter")
    expect(item(page)).to_have_text(re.compile(r"% from the start, tried, the text ends here$"))
    after = page.locator("#text").input_value()
    assert after.startswith(before)
    assert len(after) > len(before)
    page.get_by_role("tab", name="Bars").click()
    settled(page)
    page.keyboard.press("Control+z")
    expect(page.locator("#text")).to_have_value(before)


def test_words_fit_their_boxes_and_clicks_hit_where_type_is_larger(open_page: OpenPage, stack: Stack) -> None:
    page = open_page("about:blank", viewport={"width": 2560, "height": 1440})
    page.add_init_script(WATCH)
    page.goto(stack.url)
    write(page, TEXT)
    click_bar(page, 0)
    branch_at(page, 6, 2)
    before = page.locator("#text").input_value()
    page.get_by_role("tab", name="Tree").click()
    expect(item(page)).to_contain_text("the text ends here")
    drawn(page)
    boxes = page.evaluate("boxes")
    for words, (_, _, wide, needs, high) in boxes.items():
        assert needs <= wide, words
        assert high > 20, "as large as other small type of the page"
    x, y, *_ = next(place for words, place in boxes.items() if not before.replace(" ", "·").endswith(words))
    page.locator(".tree-stage").click(position={"x": x, "y": y})
    expect(page.locator("#text")).not_to_have_value(before)


def test_a_click_takes_what_it_hits_and_a_drag_moves(page: Page) -> None:
    write(page, TEXT)
    click_bar(page, 0)
    page.get_by_role("tab", name="Tree").click()
    expect(item(page)).to_contain_text("the text ends here")
    box = page.locator(".tree-stage").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 60, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, middle + 40, steps=4)
    page.mouse.up()
    moved = page.locator("#text").input_value()
    assert moved.startswith(TEXT)
    assert moved != TEXT
    page.get_by_role("button", name="Show all").click()
    half_a_row = 13  # the tree begins in the line of the first of its two branches
    page.mouse.click(box["x"] + 60, middle - half_a_row)  # the mark before all texts
    expect(page.locator("#text")).to_have_value("")
    expect(item(page)).to_contain_text("<|endoftext|>, tried, the text ends here")


def test_a_growth_is_stopped_and_removed(page: Page) -> None:
    write(page, TEXT)
    page.get_by_role("tab", name="Tree").click()
    page.get_by_label("Branches").select_option("2000")
    page.get_by_label("Tokens deep").select_option("8")
    page.get_by_role("button", name="Grow", exact=True).click()
    expect(page.locator(".tree-said")).to_contain_text("branches")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.get_by_role("button", name="Grow", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Remove grown").click()
    expect(page.locator(".tree-said")).to_have_text("")


def test_a_phone_pinches_and_axe_finds_nothing(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 360, "height": 740}, has_touch=True, reduced_motion="reduce")
    settled(page)
    page.get_by_role("tab", name="Tree").click()
    expect(item(page)).to_be_visible()
    offer = page.get_by_role("button", name="Grow this text")
    expect(offer).to_be_in_viewport()
    assert_clean(page, "tree, nothing grown")
    offer.click()
    expect(page.locator(".tree-said")).to_contain_text("is not shown")
    expect(offer).to_be_hidden()
    assert_clean(page, "tree")
    text, before = page.locator("#text").input_value(), drawn(page)
    pinch(page, 60, 160)  # around a point that stays: only zooming changes the picture
    closer = drawn(page)
    assert closer != before
    assert page.evaluate("visualViewport.scale") == 1, "the tree is zoomed, not the page"
    pinch(page, 160, 60)
    assert drawn(page) != closer
    expect(page.locator("#text")).to_have_value(text)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shoot(page, "tree-360")
