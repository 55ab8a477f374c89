"""How the bars are shown: the number beside them, their scale, the lines that cut; and that they never flicker."""

import itertools
import math
import re

import pytest
from pages import OpenPage, Stack, answered, body, number, open_tab, percents, redrawn, rows, settled, shoot, write
from playwright.sync_api import Locator, Page, Request, Response, expect

TEXT = "The little girl was very"


def choose(page: Page, label: str) -> None:
    """Sets a choice of the view."""
    page.get_by_role("button", name="View").click()
    page.get_by_role("dialog", name="View").get_by_label(re.compile(label)).check()
    page.keyboard.press("Escape")


def values(page: Page) -> list[float]:
    """The numbers beside the bars, the others left out."""
    return [float(words.replace("−", "-")) for words in page.locator("#chart .row .value").all_inner_texts()]


def first_value(page: Page) -> Locator:
    """Beside the first bar, to wait for: the page draws when the browser next does."""
    return page.locator("#chart .row .value").first


def lengths(page: Page) -> list[float]:
    """How far the bars reach into their tracks, as shares of them, once they rest."""
    measure = """bars => Promise.all(document.getAnimations().map(each => each.finished)).then(() => bars.map(bar => {
        const track = bar.parentElement.getBoundingClientRect();
        return (bar.getBoundingClientRect().right - track.left) / track.width;
    }))"""
    return list(page.locator("#chart .row .bar").evaluate_all(measure))


def test_log_probability_and_logit_stand_beside_the_bars_on_demand(page: Page) -> None:
    with page.expect_response(answered) as response:
        write(page, TEXT)
    candidates = response.value.json()["candidates"]
    choose(page, "Log-probability")
    expect(first_value(page)).to_have_text(f"−{-candidates[0]['logprob']:.2f}")
    assert values(page) == pytest.approx([each["logprob"] for each in candidates], abs=0.0051)
    choose(page, "Logit")
    expect(first_value(page)).to_have_text(f"{candidates[0]['logit']:.2f}".replace("-", "−"))
    assert values(page) == pytest.approx([each["logit"] for each in candidates], abs=0.0051)
    expect(rows(page).first).to_have_attribute("aria-label", re.compile(r"%, log-probability −.*, logit .*, rank 1"))
    expect(page.locator("#chart .others .percent")).to_have_text("")
    page.reload()
    settled(page)
    assert values(page) == pytest.approx([each["logit"] for each in candidates], abs=0.0051), "the choice is kept"
    choose(page, "Percent")
    expect(first_value(page)).to_contain_text("%")
    assert percents(page)[0] == pytest.approx(100 * candidates[0]["probability"], abs=0.051)


def test_on_the_logarithmic_scale_a_tenfold_is_a_sixth(page: Page) -> None:
    write(page, TEXT)
    shares = percents(page)[:-1]
    assert lengths(page) == pytest.approx([share / 100 for share in shares], abs=0.004)
    choose(page, "Logarithmic")
    expect(page.locator(".axis")).to_be_visible()
    wanted = [1 + math.log10(share / 100) / 6 for share in shares]
    assert lengths(page) == pytest.approx(wanted, abs=0.01)
    assert percents(page)[:-1] == shares, "the numbers are the same"


def test_the_cut_offs_are_lines_on_the_chart(page: Page) -> None:
    page.get_by_role("button", name="More settings").click()
    write(page, TEXT)
    page.get_by_role("spinbutton", name="Min-p as a number").fill("0.2")
    settled(page)
    line = page.locator("#chart .row .track").first.evaluate(
        "track => parseFloat(getComputedStyle(track, '::after').insetInlineStart) / track.clientWidth"
    )
    uncut = float(page.locator("#chart .row .bar-raw").first.evaluate("bar => bar.style.getPropertyValue('--share')"))
    assert line == pytest.approx(0.2 * uncut, abs=0.005)
    assert uncut > 0
    choose(page, "Logarithmic")
    grid = page.locator("#chart .row .track").first  # the scale keeps its lines beside that of the cut
    expect(grid).to_have_css("background-image", re.compile("gradient"))
    fallen = page.locator("#chart li[data-fell]")
    edge = fallen.first.evaluate("row => getComputedStyle(row).borderTopStyle")
    assert (edge, fallen.nth(1).evaluate("row => getComputedStyle(row).borderTopStyle")) == ("dashed", "none")
    page.locator("#top-k-number").fill("1")
    page.get_by_role("spinbutton", name="Min-p as a number").fill("1")
    settled(page)
    expect(page.locator("#chart .others")).to_have_css("border-top-style", "dashed")


WATCH = """() => {
  window.fewest = 1e9;
  const look = () => {
    window.fewest = Math.min(window.fewest, document.querySelectorAll("#chart .row .bar").length);
    requestAnimationFrame(look);
  };
  look();
}"""


def test_the_chart_is_never_empty_between_two_answers(page: Page) -> None:
    write(page, TEXT)
    page.evaluate(WATCH)
    for index in (0, 2, 1, 3):
        rows(page).nth(index).click()
        settled(page)
    page.locator("#text").fill("Something else altogether")
    settled(page)
    page.locator("#temperature").fill("0.3")
    settled(page)
    assert page.evaluate("window.fewest") == 10


def drag(page: Page, slider: Locator, to: float) -> None:
    box = slider.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * to, middle, steps=20)
    redrawn(page)


def test_dragging_with_fifty_bars_pins_and_a_question_calls_nobody(page: Page) -> None:
    page.locator("#top-k").fill("50")
    write(page, TEXT)
    page.get_by_role("button", name="Pin").click()
    open_tab(page, "Numbers")
    page.locator("#likely-text").fill("happy")
    expect(page.locator(".chances li")).to_have_count(2)
    expect(page.locator(".chances [data-waiting]")).to_have_count(0)
    settled(page)
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/api/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    drag(page, page.locator("#temperature"), 0.25)
    assert asked == []
    assert rows(page).count() == 50
    live = [number(words) for words in page.locator(".chances .percent").all_inner_texts()]
    drawn = percents(page)
    page.mouse.up()
    settled(page)
    assert percents(page) == pytest.approx(drawn, abs=0.051)
    assert [number(words) for words in page.locator(".chances .percent").all_inner_texts()] == pytest.approx(
        live, abs=0.051
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900)])
def test_the_logarithmic_view_fits(open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    write(page, TEXT)
    choose(page, "Logarithmic")
    choose(page, "Log-probability")
    page.get_by_role("button", name="View").click()
    expect(page.get_by_role("dialog", name="View")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.keyboard.press("Escape")
    for wide in (width, 768):
        page.set_viewport_size({"width": wide, "height": height})
        marks = [mark.bounding_box() for mark in page.locator(".track-marks span:visible").all()]
        assert len(marks) >= 2
        for before, after in itertools.pairwise(marks):
            assert before
            assert after
            assert before["x"] + before["width"] <= after["x"], f"marks of the scale overlap at {wide}"
    page.set_viewport_size({"width": width, "height": height})
    shoot(page, f"logarithmic-{width}-{scheme}")


def test_the_whole_question_is_unchanged_by_the_view(page: Page) -> None:
    asked: list[Response] = []
    page.on("response", lambda response: asked.append(response) if answered(response) else None)
    choose(page, "Logarithmic")
    choose(page, "Logit")
    settled(page)
    assert [body(response.request) for response in asked] == []
