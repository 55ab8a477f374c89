"""Before a room: presenting, guessing first, texts to begin with, every number explained; and the same on a phone."""

import itertools
import re

import pytest
from pages import OpenPage, Stack, click_bar, focused, intercept, open_tab, rows, settled, shoot, stay_in_window, write
from playwright.sync_api import Page, Route, expect

EXAMPLES = 12


def test_presenting_shows_text_and_ten_bars_to_the_back_row(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 1280, "height": 720})
    settled(page)
    small = rows(page).first.locator(".token").evaluate("each => parseFloat(getComputedStyle(each).fontSize)")
    page.locator("#extras-open").focus()
    for key in ("Enter", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#controls")).to_be_hidden()
    expect(rows(page).first).to_be_focused()
    expect(page.locator(".models-open")).to_be_hidden()
    large = rows(page).first.locator(".token").evaluate("each => parseFloat(getComputedStyle(each).fontSize)")
    assert large >= 1.6 * small
    assert large >= 720 / 25, "the back row reads a twenty-fifth of the height"
    for index in range(10):
        expect(rows(page).nth(index)).to_be_in_viewport(ratio=1)
    expect(page.locator("#text")).to_be_in_viewport(ratio=1)
    page.keyboard.press("1")
    page.keyboard.press("-")
    settled(page)
    expect(page.locator("#room-line")).to_contain_text("temperature 0.9")
    shoot(page, "present-1280")
    for _ in "AB":
        page.keyboard.press("k")
        page.keyboard.press("-")
        settled(page)
    expect(page.locator("#pins li")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollHeight") == 720, "pins and the others are seen as well"
    shoot(page, "present-pinned-1280")
    page.keyboard.press("Escape")
    expect(page.locator("#controls")).to_be_visible()
    expect(page.locator("#temperature-number")).to_have_value("0.7")
    page.keyboard.press("p")
    page.get_by_role("button", name="Leave").press("Enter")
    expect(page.locator("#controls")).to_be_visible()
    expect(page.locator("#extras-open")).to_be_focused()
    page.keyboard.press("p")
    expect(page.locator("html:fullscreen")).to_have_count(1)
    page.evaluate(
        """async () => {
          const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
          const changed = new Promise((done) => document.addEventListener("fullscreenchange", done, { once: true }));
          press("Escape");
          await new Promise(requestAnimationFrame); // drawn, and the screen is not left yet
          press("p");
          await changed;
        }"""
    )
    expect(page.get_by_role("button", name="Leave")).to_be_visible()  # the screen was left for the former time
    page.keyboard.press("Escape")
    expect(page.locator("#controls")).to_be_visible()
    page.reload()
    settled(page)
    expect(page.locator("#controls")).to_be_visible()


def test_presenting_again_while_the_screen_is_left_fills_it_again(page: Page) -> None:
    page.locator("#text").blur()
    page.keyboard.press("p")
    expect(page.locator("html:fullscreen")).to_have_count(1)
    page.evaluate(
        """() => {
          const root = document.documentElement;
          root.dataset.left = 0;
          const left = () => Number(root.dataset.left) + !document.fullscreenElement;
          document.addEventListener("fullscreenchange", () => { root.dataset.left = left(); });
          const exit = document.exitFullscreen.bind(document);
          document.exitFullscreen = () => new Promise((wait) => setTimeout(wait, 500)).then(exit);
        }"""
    )
    page.get_by_role("button", name="Leave").press("Enter")
    expect(page.locator("#controls")).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.locator("html[data-left='1']")).to_have_count(1)
    expect(page.locator("html:fullscreen")).to_have_count(1)
    page.get_by_role("button", name="Leave").press("Enter")
    expect(page.locator("html[data-left='2']")).to_have_count(1)
    expect(page.locator("#controls")).to_be_visible()


@pytest.mark.noted("net::ERR_")
def test_presenting_a_long_text_shows_its_end_all_bars_and_what_is_wrong(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 1280, "height": 720})
    stay_in_window(page)
    write(page, "Once upon a time there was a little girl who liked to play in the park with her dog. " * 15)
    page.locator("#text").blur()
    page.keyboard.press("p")
    expect(page.locator("#controls")).to_be_hidden()
    settled(page)
    text = page.locator("#text")
    assert text.evaluate("each => each.scrollHeight - each.clientHeight - each.scrollTop") <= 1
    strip, last = (page.locator(each).bounding_box() for each in ("#tokens", "#tokens .token:last-child"))
    assert strip
    assert last
    assert strip["y"] <= last["y"]
    assert last["y"] + last["height"] <= strip["y"] + strip["height"] + 1
    for index in range(10):
        expect(rows(page).nth(index)).to_be_in_viewport(ratio=1)
    assert_stacked(page, "#room-line", "#text", "#tokens", "#chart-title", ".bars .row")
    shoot(page, "present-long-1280")
    page.set_viewport_size({"width": 720, "height": 450})
    settled(page)
    expect(page.locator("#chart .others")).to_be_in_viewport(ratio=1)
    held: list[Route] = []
    intercept(page, "**/api/next-token", lambda route: held.append(route), times=1)
    page.keyboard.press("1")
    expect(page.locator("#room-line")).to_contain_text("The demo model is thinking… · temperature 1")
    held[0].continue_()
    settled(page)
    expect(page.locator("#room-line")).to_contain_text("Demo model · temperature 1")
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")  # a machine without a network tells its browser nothing new
    expect(page.locator("#status .status-words")).to_contain_text("offline")
    assert_stacked(page, "#status .status-words", "#room-line", "#text")
    shoot(page, "present-offline-1280")


def assert_stacked(page: Page, *parts: str) -> None:
    """Each part begins where the one above it has ended."""
    boxes = [page.locator(part).first.bounding_box() for part in parts]
    for above, below in itertools.pairwise(boxes):
        assert above
        assert below
        assert above["y"] + above["height"] <= below["y"] + 1, parts


def test_guessing_hides_every_trace_of_the_bars_until_they_are_asked_for(page: Page) -> None:
    click_bar(page, 1)
    page.keyboard.press("ArrowLeft")  # what followed stands behind the text, and would tell
    open_tab(page, "Numbers")
    settled(page)
    secrets = [rows(page).nth(at).locator(".percent").inner_text() for at in range(3)]
    heard = page.locator("#announcer").inner_text()
    page.keyboard.press("g")
    expect(page.locator("#guess")).to_be_visible()
    expect(page.locator("#steps")).to_be_hidden()
    expect(rows(page)).to_have_count(0)
    expect(page.locator("#announcer")).to_contain_text("the bars are hidden until you show them")
    spoken = page.locator("body").aria_snapshot()
    whole = page.evaluate("document.body.textContent")
    for secret in secrets:
        assert secret not in spoken
        assert secret not in whole, "nor anywhere else in the page"
    assert heard not in whole
    shoot(page, "guess-1440")
    text = page.locator("#text").input_value()
    page.keyboard.press("1")
    expect(page.locator("#text")).to_have_value(text)
    page.keyboard.press("v")
    settled(page)
    assert [rows(page).nth(at).locator(".percent").inner_text() for at in range(3)] == secrets
    expect(page.locator("#steps")).to_be_visible()
    page.keyboard.press("1")
    expect(rows(page)).to_have_count(0)
    expect(page.locator("#guess")).to_be_visible()
    page.get_by_role("button", name="Show the bars").click()
    settled(page)
    expect(rows(page).first).to_be_focused()
    page.keyboard.press("2")
    page.reload()
    expect(page.locator("#guess")).to_be_visible()
    expect(rows(page)).to_have_count(0)
    page.keyboard.press("m")  # the first press shows
    settled(page)
    page.keyboard.press("g")
    page.keyboard.press("1")
    settled(page)
    expect(rows(page)).to_have_count(10)


def test_every_example_has_its_bars_and_one_undo_brings_the_own_text_back(page: Page) -> None:
    write(page, "My own text")
    for index in range(EXAMPLES):
        page.locator("#examples-open").click()
        entry = page.locator("#examples .entry").nth(index)
        text = entry.locator(".entry-text").inner_text()
        entry.click()
        expect(page.locator("#text")).to_have_value(text)
        settled(page)
        expect(rows(page)).to_have_count(10)
        expect(page.locator("#text-trouble")).to_be_hidden()
    for _ in range(EXAMPLES):
        page.get_by_role("button", name="Undo").click()
    expect(page.locator("#text")).to_have_value("My own text")


@pytest.mark.parametrize(
    ("index", "tokens"),
    [
        (0, [",", " there"]),  # a story begins
        (1, [" ball"]),  # it copies
        (2, [" it", " he"]),  # no clear favourite
        (4, [" apple", " orange"]),  # one letter decides
        (5, [" fast", " far"]),  # a rhyme
        (6, [" blue"]),  # a fact
        (7, [" two"]),  # arithmetic
        (8, ["os"]),  # half a word
        (10, [" he", " she"]),  # who is meant
        (11, [" she", " he"]),  # habits
    ],
)
def test_an_example_shows_what_it_says_with_the_demo_model(page: Page, index: int, tokens: list[str]) -> None:
    page.locator("#examples-open").click()
    page.locator("#examples .entry").nth(index).click()
    settled(page)
    names = rows(page).locator(".token").all_text_contents()
    places = [names.index(token) for token in tokens]
    assert places == sorted(places), "in this order"


def test_every_number_is_explained_with_its_value_of_now(page: Page) -> None:
    page.locator(".explain-open").click()
    panel = page.get_by_role("dialog", name="What am I looking at?")
    expect(panel).to_be_visible()
    assert focused(page) == "explain-title"
    first = rows(page).first.locator(".percent").inner_text()
    entry = panel.locator("dl > div", has_text="A bar’s percentage")
    expect(entry.locator(".explain-value")).to_contain_text(first)
    shoot(page, "explain-1440")
    page.keyboard.press("+")
    temperature = panel.locator("dl > div", has=page.locator("dt", has_text=re.compile("^Temperature$")))
    expect(temperature.locator(".explain-value")).to_have_text("1.1")
    entry.hover()
    expect(page.locator(".bars .percent").first).to_have_attribute("data-pointed", "")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(rows(page).first).to_be_focused()
    page.keyboard.press("h")
    expect(panel).to_be_visible()


def test_single_keys_can_be_switched_off(page: Page) -> None:
    page.keyboard.press("?")
    page.locator("#single-keys").uncheck()
    page.keyboard.press("Escape")
    text = page.locator("#text").input_value()
    for key in ("1", "m", "g", "p", "?"):
        page.keyboard.press(key)
    expect(page.locator("#guess")).to_be_hidden()
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    expect(page.locator("#text")).to_have_value(text)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    settled(page)
    expect(page.locator("#text")).not_to_have_value(text)
    page.reload()
    settled(page)
    page.locator("#extras-open").click()
    page.locator("#keys-open").click()
    expect(page.locator("#single-keys")).not_to_be_checked()


def test_keys_count_that_come_faster_than_frames(page: Page) -> None:
    plus = "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '+', bubbles: true }));"
    page.evaluate(f"() => {{ {plus * 3} }}")
    expect(page.get_by_role("spinbutton", name="Temperature as a number")).to_have_value("1.3")


def test_arrows_work_before_anything_has_the_focus(page: Page) -> None:
    count = page.locator("#prompt .token").count()
    page.keyboard.press("ArrowRight")
    settled(page)
    expect(page.locator("#prompt .token")).to_have_count(count + 1)
    page.keyboard.press("ArrowDown")
    expect(rows(page).first).to_be_focused()


def test_another_model_says_how_it_read_the_text(page: Page) -> None:
    write(page, "Tom and his dog")
    page.locator(".models-open").click()
    page.get_by_role("button", name=re.compile("second-model")).click()
    settled(page)
    words = re.compile(r"second-model splits the text into the same \d+ tokens as the demo model\.")
    expect(page.locator("#status")).to_contain_text(words)
    expect(page.locator("#announcer")).to_contain_text(words)
    click_bar(page, 0)
    expect(page.locator("#status")).not_to_contain_text("splits")
