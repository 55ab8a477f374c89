"""Top-p and min-p on the page: exact while dragged, confirmed by the server, in words, and remembered."""

import re

import pytest
from pages import OpenPage, Stack, answered, body, open_tab, percents, redrawn, rows, settled, shoot, write
from playwright.sync_api import Page, Request, expect

COMPARE = """async ({text, settings}) => {
  const { cut } = await import("/core/cuts.js");
  const { redraw } = await import("/core/distribution.js");
  const { readAnswer } = await import("/net/wire.js");
  const ask = async (asked) => {
    const response = await fetch("/api/next-token", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text, model: "bundled", top_k: 200, temperature: asked.temperature,
        top_p: asked.topP, min_p: asked.minP, include_partition: true }),
    });
    return readAnswer(await response.json(), { model: "bundled", text: null, ...asked });
  };
  const plain = await ask({ topK: 200, temperature: 1, topP: 1, minP: 0 });
  const worst = { count: 0, probability: 0, known: 0 };
  for (const each of settings) {
    const wanted = { topK: 200, ...each };
    const theirs = (await ask(wanted)).kept;
    const ours = cut(plain, redraw(plain, wanted.temperature, 200), wanted.temperature, wanted).kept;
    if (!ours.known) continue;
    worst.known += 1;
    worst.count = Math.max(worst.count, Math.abs(ours.count - theirs.count));
    worst.probability = Math.max(worst.probability, Math.abs(ours.probability - theirs.probability));
  }
  return worst;
}"""


@pytest.fixture
def page(page: Page) -> Page:
    open_tab(page, "Settings")
    write(page, "The little girl was very")
    return page


def test_what_remains_agrees_with_the_server(page: Page) -> None:
    settings = [
        {"temperature": temperature, "topP": top_p, "minP": min_p}
        for temperature in (0.3, 0.7, 1, 1.3)
        for top_p, min_p in ((0.5, 0), (0.8, 0), (1, 0.05), (1, 0.3), (0.7, 0.02))
    ]
    worst = page.evaluate(COMPARE, {"text": "The little girl was very", "settings": settings})
    assert worst["known"] >= 15
    assert worst["count"] == 0
    assert worst["probability"] <= 1e-4


@pytest.mark.parametrize(("name", "to"), [("top-p", 0.45), ("min-p", 0.2)])
def test_dragging_cuts_without_a_call_and_letting_go_confirms(page: Page, name: str, to: float) -> None:
    asked: list[dict[str, object]] = []

    def note(request: Request) -> None:
        if request.url.endswith("/api/next-token"):
            asked.append(body(request))

    page.on("request", note)
    slider = page.locator(f"#{name}")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * (1 - 0.01 if name == "top-p" else 0.01), middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * to, middle, steps=5)
    redrawn(page)
    assert asked == []
    fallen = page.locator("#chart li[data-fell]")
    count, drawn = fallen.count(), percents(page)
    assert 0 < count < 10
    expect(fallen.first.locator(".fell")).to_have_text(f"removed by {name}")
    assert rows(page).count() == 10, "what falls keeps its place"
    page.mouse.up()
    settled(page)
    assert [set(each) & {"top_p", "min_p"} for each in asked] == [{name.replace("-", "_")}]
    assert fallen.count() == count
    assert percents(page) == pytest.approx(drawn, abs=0.051)
    assert sum(percents(page)) == pytest.approx(100, abs=0.6)
    expect(page.locator(".chart-legend")).to_have_text("before top-p/min-p")
    expect(page.locator(".chart-entropy")).to_contain_text("bits before top-p/min-p: ")


def test_the_server_s_count_stands_in_words(page: Page) -> None:
    with page.expect_response(answered) as confirmed:
        page.get_by_role("spinbutton", name="Top-p as a number").fill("0.6")
    kept = confirmed.value.json()["kept"]
    settled(page)
    expect(page.locator("#kept")).to_contain_text(f"{kept['count']:,} of ")
    open_tab(page, "Numbers")
    steps = page.locator("#steps li")
    expect(steps).to_have_count(5)
    expect(steps.nth(3)).to_contain_text(f"{kept['count']:,} of ")
    shares = percents(page)
    expect(steps.nth(4)).to_contain_text(re.compile(rf"{shares[0]}\s%"))
    page.reload()
    settled(page)
    expect(page.locator("#top-p-number")).to_have_value("0.6")
    expect(steps).to_have_count(5)
    assert percents(page) == shares


def test_a_cut_off_out_of_range_is_refused_beside_its_control(page: Page) -> None:
    page.get_by_role("spinbutton", name="Top-p as a number").fill("0")
    expect(page.locator("#top-p-trouble")).to_have_text("Top-p must be a number from 0.001 to 1.")
    page.get_by_role("spinbutton", name="Min-p as a number").fill("1.5")
    expect(page.locator("#min-p-trouble")).to_have_text("Min-p must be a number from 0 to 1.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900)])
def test_cut_bars_in_view_with_their_sliders(
    open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str
) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    open_tab(page, "Settings")
    write(page, "The little girl was very")
    page.locator("#temperature").fill("0.8")
    page.locator("#top-p").fill("0.5")
    settled(page)
    page.evaluate("scrollTo(0, 0)")
    for selector in ("#temperature", "#top-p", "#min-p", "#kept"):
        expect(page.locator(selector)).to_be_in_viewport(ratio=1)
    shoot(page, f"cut-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") == width
