"""The list of sampler steps: switched, set, moved by key and pointer, told by what each left, and remembered."""

import re

import pytest
from pages import OpenPage, Stack, answered, body, intercept, open_tab, percents, redrawn, rows, settled, shoot, write
from playwright.sync_api import Page, Request, Route, expect


@pytest.fixture
def page(open_page: OpenPage, stack: Stack) -> Page:
    page = open_page(stack.url, reduced_motion="reduce")
    open_tab(page, "Settings")
    write(page, "The little girl was very")
    page.locator("#samplers summary").click()
    expect(page.locator(".sampler-steps > li")).to_have_count(16)
    return page


def order(page: Page) -> list[str]:
    found: list[str] = page.locator(".sampler-steps > li").evaluate_all("all => all.map((each) => each.dataset.step)")
    return found


def test_steps_remove_tokens_and_say_so(page: Page) -> None:
    with page.expect_response(answered) as plain:
        page.locator("#temperature-number").fill("0.8")
    settled(page)
    assert "samplers" not in body(plain.value.request)
    first = percents(page)
    page.get_by_label("Top-k", exact=True).check()
    settled(page)
    with page.expect_response(answered) as cut:
        page.get_by_label("Top-k: k").fill("4")
    settled(page)
    assert body(cut.value.request)["samplers"] == [{"temperature": 0.8}, {"top_k": 4}]
    assert rows(page).count() == 10
    expect(page.locator("#chart li[data-fell] .fell")).to_have_text(["removed by top-k"] * 6)
    expect(page.locator("[data-step=top_k] .sampler-left")).to_have_text(re.compile(r"^4 tokens, .+ left$"))
    whole = re.compile(r"^4,096 tokens, 100\s% left$")
    expect(page.locator("[data-step=temperature] .sampler-left")).to_have_text(whole)
    expect(page.locator(".chart-legend")).to_have_text("before all steps")
    expect(page.locator("#kept")).to_contain_text("4 of 4,096 tokens kept")
    expect(page.locator(".samplers-on")).to_have_text("(2 sampler steps)")
    assert sum(percents(page)) == pytest.approx(100, abs=0.6)
    assert percents(page)[0] > first[0]

    page.locator("#chart .row").nth(1).focus()
    with page.expect_response(answered):
        page.locator("[data-step=ban] input[type=checkbox]").check()
        page.locator("[data-step=ban]").get_by_role("button", name="Add").click()
    settled(page)
    expect(page.locator("#chart li").nth(1).locator(".fell")).to_have_text("removed by ban")
    names = page.locator(".sampler-head label")
    assert names.evaluate_all("all => all.filter(each => each.scrollWidth > each.clientWidth).length") == 0
    shoot(page, "samplers-1440")
    open_tab(page, "Numbers")
    expect(page.locator("#steps li")).to_have_count(6)
    expect(page.locator("#steps")).to_contain_text("Top-k: 4 tokens,")

    page.reload()
    settled(page)
    expect(page.locator("#chart li").nth(1).locator(".fell")).to_have_text("removed by ban")
    tokens = page.locator("#prompt .token").count()
    page.keyboard.press("r")
    expect(page.locator("#prompt .token")).to_have_count(tokens + 1)


def test_what_a_step_removes_is_seen_before_the_server_says_it(page: Page) -> None:
    page.get_by_label("Top-k", exact=True).check()
    settled(page)
    held: list[Route] = []
    intercept(page, "**/api/next-token", lambda route: held.append(route))
    page.get_by_label("Top-k: k").fill("3")
    page.locator("#temperature").press("ArrowRight")
    expect(page.locator("#chart:not([data-stale]) li[data-fell] .fell")).to_have_text(["removed by top-k"] * 7)
    expect(page.locator("[data-step=top_k] .sampler-left")).to_contain_text("3 tokens, ")
    now = percents(page)
    while not held:
        page.wait_for_timeout(20)
    with page.expect_response(answered):
        page.unroute_all()  # what is held goes on
    settled(page)
    assert percents(page) == pytest.approx(now, abs=0.06)


def test_top_n_sigma_over_the_whole_vocabulary_is_computed_without_a_call(page: Page) -> None:
    page.get_by_label("Top-n-σ", exact=True).check()
    settled(page)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/api/next-token") else None)
    slider = page.locator("#temperature")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    before, middle = percents(page), box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, middle, steps=5)
    redrawn(page)
    expect(page.locator("#chart:not([data-stale]) li[data-fell] .fell").first).to_have_text("removed by top-n-σ")
    left = page.locator("[data-step=top_n_sigma] .sampler-left")
    now, told, kept = percents(page), left.inner_text(), page.locator("#kept").inner_text()
    assert now != before
    assert asked == []
    with page.expect_response(answered) as confirmed:
        page.mouse.up()
    settled(page)
    assert "top_n_sigma" in str(body(confirmed.value.request)["samplers"])
    assert percents(page) == pytest.approx(now, abs=0.06)
    assert (left.inner_text(), page.locator("#kept").inner_text()) == (told, kept)


def test_steps_move_by_button_and_pointer_and_their_order_counts(page: Page) -> None:
    page.locator("#temperature-number").fill("2")
    page.locator("#top-p-number").fill("0.5")
    settled(page)
    before = page.locator("#kept").inner_text()
    down = page.get_by_role("button", name="Move Temperature down")
    down.focus()
    for _ in range(3):
        page.keyboard.press("Enter")
        expect(down).to_be_focused()
    settled(page)
    names = order(page)
    assert names.index("temperature") > names.index("top_p")
    expect(page.locator("#samplers [role=status].visually-hidden")).to_have_text("Temperature is step 10 of 16.")
    expect(page.locator("[data-step=top_p] .sampler-left")).to_contain_text("left")
    assert page.locator("#kept").inner_text() != before, "top-p before the temperature keeps fewer"
    page.get_by_role("button", name="llama.cpp").click()
    expect(page.locator(".sampler-steps > li").last).to_have_attribute("data-step", "temperature")
    expect(page.get_by_role("button", name="llama.cpp")).to_have_attribute("aria-pressed", "true")
    page.locator("[data-step=temperature] .sampler-grip").drag_to(page.locator("[data-step=min_p]"))
    settled(page)
    assert order(page).index("temperature") in (order(page).index("min_p") - 1, order(page).index("min_p") + 1)
    page.get_by_role("button", name="Reset").click()
    settled(page)
    assert page.locator("#kept").inner_text() == before


def test_a_number_out_of_range_is_refused_beside_it(page: Page) -> None:
    page.get_by_label("Top-h", exact=True).check()
    page.get_by_label("Top-h: share").fill("2")
    expect(page.locator("#sampler-top_h-share-trouble")).to_have_text("From 0.001 to 1.")
    page.locator("#seed").focus()
    expect(page.get_by_label("Top-h: share")).to_have_value("0.5")


def test_on_a_phone_the_list_fits(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 360, "height": 740})
    open_tab(page, "Settings")
    page.locator("#samplers summary").click()
    page.get_by_label("Mask", exact=True).check()
    page.get_by_label("Mask: Choices").fill(", there was a very long line that a phone has no place for")
    page.get_by_label("Mask: Choices").blur()
    expect(page.locator("#chart li[data-fell] .fell").first).to_have_text("removed by mask")
    shoot(page, "mask-360")
    page.get_by_label("XTC", exact=True).check()
    expect(page.get_by_label("XTC: how often")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
