"""The tab Layers: how a prediction forms from layer to layer; its scrubber moves the chart's own bars."""

import json
import re
from pathlib import Path

import httpx
from axe import assert_clean
from pages import OpenPage, Stack, asked, click_bar, number, open_tab, redrawn, rows, settled, shoot, write
from playwright.sync_api import Locator, Page, expect

TEXT = "The little girl was very"

LATE = """() => {
  const real = window.fetch;
  window.fetch = async (path, { signal, ...options } = {}) => {
    if (!String(path).endsWith("api/layers")) return real(path, { ...options, signal });
    window.fetch = real;
    const answer = await real(path, options);
    await new Promise((go) => { window.letGo = go; });
    window.late = answer.clone().text();
    return answer;
  };
}"""  # the next answer comes when it is let go, even to a page that has stopped waiting


def said(page: Page) -> Locator:
    """When the model settled on its answer."""
    return page.locator("#layers-said")


def begin(page: Page) -> None:
    write(page, TEXT)
    page.keyboard.press("Escape")
    open_tab(page, "Layers")
    expect(said(page)).to_have_text(re.compile(r"^“.*” leads .*\.$"))


def test_the_scrubber_moves_the_bars_to_what_a_layer_says_and_back(page: Page, stack: Stack) -> None:
    sent = asked(page, "/api/layers")
    click_bar(page, 0)
    assert not sent, "nothing is asked before the tab is opened"
    begin(page)
    final = rows(page).first.get_attribute("aria-label")
    scrub = page.get_by_label("Layer", exact=True)
    layers = int(scrub.get_attribute("max") or 0)
    told = httpx.post(f"{stack.url}/api/layers", json={**sent[-1], "top_k": 10}, timeout=60).json()
    assert layers == len(told["layers"]) - 1
    scrub.focus()
    page.keyboard.press("Home")
    expect(page.locator(".look-words")).to_contain_text("Embedding, before the first of the layers")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".look-words")).to_have_text(
        f"Layer 1 of {layers}: what the model would say if it stopped here."
    )
    expect(scrub).to_have_attribute("aria-valuetext", re.compile(rf"^Layer 1 of {layers}: “.*” leads, .*%$"))
    best = told["layers"][1]["candidates"][0]
    shown = number(rows(page).first.locator(".percent").inner_text())
    assert abs(shown - 100 * best["probability"]) <= max(0.06, 0.06 * shown)
    expect(page.locator(".layers-value").first).to_have_text(rows(page).first.locator(".percent").inner_text())
    winner = page.get_by_role("button", name=str(final).partition(",")[0]).first
    expect(winner).to_be_visible()
    shoot(page, "layers-1440")
    page.keyboard.press("Escape")
    expect(page.locator(".look")).to_be_hidden()
    expect(page.locator("#inspector")).to_be_visible()
    expect(rows(page).first).to_have_attribute("aria-label", str(final))


def test_an_answer_that_comes_late_is_not_shown_for_another_text(page: Page) -> None:
    begin(page)
    page.evaluate(LATE)
    click_bar(page, 0)
    page.wait_for_function("Boolean(window.letGo)")
    click_bar(page, 1)
    expect(page.locator(".layers-body:not([data-stale])")).to_be_visible()
    shown = [said(page).inner_text(), page.locator(".layers-top").inner_text()]
    page.evaluate("() => window.letGo()")
    assert json.loads(page.evaluate("window.late"))["layers"]
    redrawn(page)
    assert [said(page).inner_text(), page.locator(".layers-top").inner_text()] == shown
    expect(page.locator(".layers-body:not([data-stale])")).to_be_visible()


def test_a_click_on_a_layer_s_bar_goes_on_and_the_open_tab_follows(page: Page) -> None:
    begin(page)
    sent = asked(page, "/api/layers")
    page.locator(".layers-map").hover(position={"x": 2, "y": 5})
    expect(page.locator(".layers-place")).to_have_text("Embedding")
    page.locator(".layers-map").click(position={"x": 2, "y": 5})
    expect(page.locator(".look")).to_be_visible()
    before = page.locator("#text").input_value()
    rows(page).nth(1).click()
    expect(page.locator(".look")).to_be_hidden()
    settled(page)
    assert page.locator("#text").input_value().startswith(before)
    expect(page.locator(".layers-body:not([data-stale])")).to_be_visible()
    expect(said(page)).to_contain_text("leads")
    assert len(sent[-1]["token_ids"]) == page.locator("#tokens .token").count()
    contrast = sent[-1]["contrast"]
    rows(page).nth(2).focus()
    expect(page.locator("#panel-layers .picker select").nth(1)).not_to_have_value(str(contrast[0]))
    expect(page.locator(".layers-sum")).to_contain_text("the sum of all bars")
    page.get_by_label("rather than").select_option(index=3)
    expect(page.locator(".layers-bar").first).to_be_attached()
    page.locator("#inspector .inspector-close").click()
    count = len(sent)
    click_bar(page, 0)
    assert len(sent) == count, "nothing is asked once the tab is closed"


def test_attention_on_demand_exports_and_axe_on_a_phone(open_page: OpenPage, stack: Stack, tmp_path: Path) -> None:
    page = open_page(
        stack.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    settled(page)
    sent = asked(page, "/api/layers")
    begin(page)
    assert not any("include_attention" in each for each in sent)
    page.locator(".layers-attention summary").tap()
    expect(page.locator(".layers-weights li")).to_have_count(len(sent[-1]["token_ids"]))
    expect(page.locator(".layers-attention")).to_contain_text("Attention is not influence")
    weights = [number(words) for words in page.locator(".layers-weight").all_inner_texts()]
    assert abs(sum(weights) - 100) < 1
    kinds = {"csv": b"layer,rank,token", "json": b'"kl_to_final_bits"', "svg": b"<svg", "png": b"\x89PNG"}
    for kind, check in kinds.items():
        with page.expect_download() as download:
            page.locator("#panel-layers").get_by_role("button", name=kind.upper(), exact=True).tap()
        download.value.save_as(tmp_path / kind)
        assert check in (tmp_path / kind).read_bytes()
    assert len(json.loads((tmp_path / "json").read_text())["attention"]) > 0
    page.locator(".layers-meaning summary").tap()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    shoot(page, "layers-360")
    assert_clean(page, "layers, with attention")
