"""The tab Why: which parts of the text push the candidate in focus, in the panel and on the text's own tokens."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe import assert_clean
from pages import OpenPage, Stack, asked, click_bar, intercept, open_tab, rows, settled, shoot, write
from playwright.sync_api import Locator, Page, expect

TEXT = "Lily had a red ball. She liked to play with her"
HIDDEN = re.compile(r"parts measured(: the last position always sees itself)?\.$")
HELD = """() => {
  const real = window.fetch;
  window.fetch = async (path, options) => {
    if (!String(path).endsWith("api/influence")) return real(path, options);
    window.fetch = real;
    const answer = await real(path, options);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const body = new ReadableStream({
      async start(controller) {
        let came = "";
        while (!came.includes("\\n\\n")) came += (await reader.read()).value;
        controller.enqueue(new TextEncoder().encode(came.slice(0, came.indexOf("\\n\\n") + 2)));
        options.signal.addEventListener("abort", () => controller.error(options.signal.reason));
      },
    });
    return new Response(body, answer);
  };
}"""  # the next answer does not go on after its first event
DONE = re.compile(r"^All \d+ parts measured\.$")


def said(page: Page) -> Locator:
    """How far the measuring is."""
    return page.locator(".why-said")


def begin(page: Page) -> None:
    write(page, TEXT)
    page.keyboard.press("Escape")
    open_tab(page, "Why")
    expect(said(page)).to_have_text(DONE)


def changes(url: str, question: dict[str, Any]) -> list[float]:
    """What the server says, by part: the last of each method asked for."""
    parts: dict[int, float] = {}
    for line in httpx.post(f"{url}/api/influence", json=question, timeout=60).text.splitlines():
        event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
        if event.get("method") == question["method"]:
            parts[event["unit"]] = event["log_odds_change"]
    return [parts[at] for at in sorted(parts)]


def test_parts_are_ranked_told_in_words_and_tinted_in_the_text(page: Page, stack: Stack) -> None:
    sent = asked(page, "/api/influence")
    settled(page)
    assert not sent, "nothing is asked before the tab is opened"
    begin(page)
    assert len(sent) == 1
    truth = changes(stack.url, sent[0])
    first, *others = (-change for change in truth[: page.locator(".why-rows li").count()])
    printed = [words.replace("−", "-") for words in page.locator(".why-value").all_inner_texts()]
    expected = [f"{push:+.2f}" for push in [*sorted(others, key=abs, reverse=True), first]]
    assert [f"{float(words):+.2f}" for words in printed] == expected
    expect(page.locator(".why-strongest li").first).to_have_text(
        re.compile(r"^Taking out “.*” makes “.*” [\d.,]+ times (less|more) likely: .*%\.$")
    )
    signs = page.locator("#tokens [data-sign]").evaluate_all(
        "chips => chips.map((chip) => [chip.dataset.push, chip.dataset.sign])"
    )
    assert signs
    assert all(sign == {"for": "+", "against": "−"}[push] for push, sign in signs)
    shoot(page, "why-1440")
    page.locator("#inspector .inspector-close").click()
    expect(page.locator("#tokens [data-push]")).to_have_count(0)


def test_it_follows_the_bar_in_focus_and_the_click_and_asks_nothing_once_closed(page: Page) -> None:
    begin(page)
    sent = asked(page, "/api/influence")
    target = page.locator("#panel-why select").first
    first = target.input_value()
    with page.expect_request("**/api/influence"):
        rows(page).nth(2).focus()
    expect(target).not_to_have_value(first)
    expect(said(page)).to_have_text(DONE)
    assert sent[-1]["target"] == int(target.input_value())
    rows(page).nth(0).focus()
    settled(page)
    expect(said(page)).to_have_text(DONE)
    count = len(sent)
    assert {each["target"] for each in sent} == {sent[0]["target"]}, "what was measured is not asked again"
    page.get_by_label("rather than").select_option(index=2)
    expect(page.locator(".why-strongest li").first).to_have_text(
        re.compile(r"makes the odds of “.*” over “.*” [\d.,]+ times (smaller|larger)\.$")
    )
    assert "contrast" in sent[count]
    click_bar(page, 0)
    expect(said(page)).to_have_text(DONE)
    assert len(sent[-1]["token_ids"]) == len(sent[0]["token_ids"]) + 1
    page.locator("#inspector .inspector-close").click()
    count = len(sent)
    click_bar(page, 0)
    assert len(sent) == count


@pytest.mark.noted("the server responded with a status of 400")
def test_methods_a_stop_and_what_the_server_refuses(page: Page, stack: Stack, tmp_path: Path) -> None:
    write(page, "One day, " + "the little girl and her dog went to the park to play. " * 10)
    page.keyboard.press("Escape")
    page.evaluate(HELD)
    open_tab(page, "Why")
    page.get_by_role("button", name="Hide instead").click()
    expect(page.get_by_label("Method")).to_have_value("hide")
    expect(page.get_by_label("Method")).to_be_focused()
    expect(said(page)).to_have_text(HIDDEN)
    expect(page.get_by_role("button", name="Hide instead")).to_be_hidden()
    page.get_by_label("Method").select_option("take_out")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(said(page)).to_have_text(re.compile(r"^Stopped: \d+ of \d+ parts measured\.$|^Measuring"))
    expect(page.get_by_role("button", name="Measure again")).to_be_visible()
    page.get_by_label("Method").select_option("hide")
    expect(page.locator(".why-strongest li").first).to_contain_text("from the last position")
    starts = {
        "csv": b"start,end,text,has_first_token,method,log_odds_change\r\n0,",
        "json": b'{\n "model": "bundled"',
        "svg": b"<svg",
        "png": b"\x89PNG",
    }
    for kind, start in starts.items():
        with page.expect_download() as download:
            page.locator("#panel-why").get_by_role("button", name=kind.upper()).click()
        download.value.save_as(tmp_path / kind)
        assert (tmp_path / kind).read_bytes().startswith(start)
    intercept(
        page,
        "**/api/influence",
        lambda route: route.fulfill(
            status=400,
            json={"error": "method: this model has no gradients", "code": "invalid_argument", "field": "method"},
        ),
        times=1,
    )
    page.get_by_label("Method").select_option("gradient")
    expect(said(page)).to_have_text("method: this model has no gradients")
    page.get_by_role("combobox", name="Parts").select_option("sentence")
    expect(said(page)).to_have_text(DONE)


def test_a_phone_shows_it_below_the_bars_and_axe_finds_nothing(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(
        stack.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    settled(page)
    begin(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    expect(rows(page).nth(1)).to_be_in_viewport(ratio=1)
    shoot(page, "why-360")
    page.locator(".why-meaning summary").tap()
    assert_clean(page, "why")
