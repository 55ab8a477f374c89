"""The text coloured by surprise or entropy, and a token's numbers beside it, as the server scores them."""

import math
import re
from typing import Any

import pytest
from pages import OpenPage, Stack, body, click_bar, intercept, number, rows, settled, shoot, write
from playwright.sync_api import Locator, Page, Route, expect

TEXT = "Tom and his xylophone went to the"


def colour(page: Page, by: str) -> None:
    page.locator("#shade-choice").select_option(by)


def words(page: Page) -> Locator:
    return page.locator(".shade-words")


def levels(page: Page) -> list[str | None]:
    """The level of each token of the text, as drawn."""
    tokens = page.locator("#prompt .tokens .token:not(.onward)")
    return list(tokens.evaluate_all("all => all.map(each => each.dataset.level ?? null)"))


def scored(page: Page, ids: list[int]) -> dict[str, Any]:
    """What the server says of these tokens."""
    return dict(page.request.post(f"{page.url}api/score", data={"token_ids": ids}).json())


def level(bits: float | None, steps: tuple[float, ...]) -> str | None:
    return None if bits is None else str(sum(bits >= step for step in steps))


def test_colours_and_totals_are_those_of_the_server(page: Page) -> None:
    write(page, TEXT)
    with page.expect_request("**/api/score") as asked:
        colour(page, "surprise")
    told = scored(page, body(asked.value)["token_ids"])
    expect(words(page)).to_contain_text("log-probability")
    surprises = [None if token["unconditioned"] else -token["logprob"] / math.log(2) for token in told["tokens"]]
    assert levels(page) == [level(bits, (1, 3, 6, 10)) for bits in surprises]
    assert len(set(levels(page))) > 3
    said = words(page).inner_text()
    assert f"log-probability −{-told['total_logprob']:.2f}" in said
    assert f"{told['bits_per_byte']:.2f} bits per byte" in said
    assert f"{len(told['tokens']) - 1} tokens" in said
    page.reload()
    settled(page)
    colour(page, "entropy")
    wanted = [level(token["entropy_bits"], (0.5, 2, 4, 6)) for token in told["tokens"]]
    tokens = page.locator("#prompt .tokens .token:not(.onward)")
    for at, each in enumerate(wanted):
        if each is not None:
            expect(tokens.nth(at)).to_have_attribute("data-level", each)
    assert levels(page) == wanted
    expect(page.locator(".shade-legend li")).to_have_count(7)


def test_clicks_are_coloured_without_asking_and_typing_asks_after_a_pause(page: Page) -> None:
    write(page, TEXT)
    colour(page, "surprise")
    expect(words(page)).to_contain_text("log-probability")
    asked: list[dict[str, Any]] = []
    page.on("request", lambda request: asked.append(body(request)) if request.url.endswith("/score") else None)
    for index in (0, 7):
        click_bar(page, index)
    assert asked == []
    assert None not in levels(page)[1:]
    drawn = words(page).inner_text()
    with page.expect_request("**/api/score") as typed:
        page.locator("#text").press_sequentially(" park", delay=5)
    settled(page)
    expect(words(page)).not_to_have_text(drawn)
    expect(words(page)).to_contain_text("log-probability")
    told = scored(page, body(typed.value)["token_ids"])
    assert f"log-probability −{-told['total_logprob']:.2f}" in words(page).inner_text()


def test_late_scores_are_never_shown_for_another_text(page: Page) -> None:
    write(page, TEXT)
    held: list[Route] = []
    intercept(page, "**/api/score", lambda route: held.append(route), times=1)
    with page.expect_request("**/api/score"):
        colour(page, "surprise")
    expect(words(page)).to_have_text("Reading the text…")
    assert set(levels(page)) == {None}
    with page.expect_response("**/api/score"):
        write(page, "The little girl was very")
    expect(words(page)).to_contain_text("log-probability")
    drawn = (levels(page), words(page).inner_text())
    held[0].fulfill(response=page.request.post(held[0].request.url, data=held[0].request.post_data_json))
    page.wait_for_timeout(200)
    assert (levels(page), words(page).inner_text()) == drawn


@pytest.mark.noted("the server responded with a status of 400")
def test_a_refusal_stands_beside_the_colours_and_can_be_tried_again(page: Page) -> None:
    write(page, TEXT)
    refusal = {"error": "token_ids: too many for this test", "code": "invalid_argument", "field": "token_ids"}
    intercept(page, "**/api/score", lambda route: route.fulfill(status=400, json=refusal))
    colour(page, "entropy")
    trouble = page.locator(".shade-trouble")
    expect(trouble).to_contain_text("too many for this test")
    assert set(levels(page)) == {None}
    expect(rows(page)).to_have_count(10)
    page.unroute("**/api/score")
    trouble.get_by_role("button", name="Try again").click()
    expect(trouble).to_be_hidden()
    expect(words(page)).to_contain_text("log-probability")


@pytest.mark.parametrize("answer", ["null", '{"tokens": 3}', '{"model": "bundled", "tokens": []}', "<html>"])
def test_scores_that_are_none_break_nothing(page: Page, answer: str) -> None:
    write(page, TEXT)
    intercept(
        page, "**/api/score", lambda route: route.fulfill(status=200, content_type="application/json", body=answer)
    )
    colour(page, "surprise")
    expect(page.locator(".shade-trouble")).to_contain_text("The server’s answer can’t be read")
    click_bar(page, 0)
    expect(rows(page)).to_have_count(10)


def card(page: Page) -> dict[str, str]:
    """The names and values on the card beside a token."""
    terms, values = (page.locator(f"#detail {kind}").all_inner_texts() for kind in ("dt", "dd"))
    return dict(zip(terms, values, strict=True))


def test_the_pointer_over_a_token_tells_its_numbers(page: Page) -> None:
    write(page, TEXT)
    with page.expect_response("**/api/score") as answer:
        page.locator("#prompt .token").nth(3).hover()
    told = answer.value.json()["tokens"][3]
    expect(page.locator("#detail")).to_contain_text("entropy here")
    shown = card(page)
    assert shown["id"] == str(told["token_id"])
    assert shown["rank"] == f"{told['rank']:,}"
    assert number(shown["probability"]) == pytest.approx(told["probability"] * 100, rel=0.05)
    shoot(page, "card-1440")
    page.locator("#detail").hover()  # it can be pointed at itself
    page.wait_for_timeout(400)
    expect(page.locator("#detail")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    page.locator("#prompt .token").nth(4).hover()
    expect(page.locator("#detail")).to_be_visible()
    page.locator("#prompt .token").nth(4).click()  # the bars are what is wanted then
    expect(page.locator("#detail")).to_be_hidden()
    settled(page)


def test_the_focus_on_a_token_tells_its_numbers(page: Page) -> None:
    write(page, "A ✓ here")
    page.keyboard.press("Escape")
    page.locator("#shade-choice").focus()
    page.keyboard.press("Shift+Tab")
    token = page.locator("#prompt .tokens .token").last
    expect(token).to_be_focused()
    expect(token).to_have_accessible_description(re.compile(r"id \d+ bytes 20 .*probability .*rank"))
    page.keyboard.press("Home")
    expect(page.locator("#detail")).to_contain_text("special token, no text")
    expect(page.locator("#detail")).to_contain_text("none: first token")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail")).to_contain_text("41")
    page.keyboard.press("Tab")
    expect(page.locator("#detail")).to_be_hidden()


@pytest.mark.parametrize("width", [320, 360])
def test_a_tap_tells_the_numbers_and_looks(open_page: OpenPage, stack: Stack, width: int) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True)
    settled(page)
    page.locator("#prompt .token").nth(2).tap()
    expect(page.locator("#detail")).to_be_visible()
    expect(page.locator("#detail")).to_be_in_viewport(ratio=1)
    expect(page.locator("#chart[data-looking]")).to_be_visible()
    page.locator(".prompt-count").tap()
    write(page, "The capital of France")
    page.locator("#prompt .token").nth(4).tap()  # at the right edge
    expect(page.locator("#detail")).to_contain_text("entropy here")
    lines = page.locator("#detail dl > div").evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")
    assert max(lines) < 1.5 * min(lines), "no number is broken for want of room"
    page.get_by_role("button", name="Back to the end").tap()  # fails where the card lies over it
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#chart[data-looking]")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(320, 640), (360, 740), (1440, 900)])
def test_at_every_width(open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    write(page, "Tom's xylophone ✓\n\n\tZebra")
    colour(page, "surprise")
    expect(words(page)).to_contain_text("log-probability")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator("#prompt .token").nth(4).hover()
    expect(page.locator("#detail")).to_be_in_viewport(ratio=1)
    for selector in ("#shade-choice", ".prompt-moves"):
        expect(page.locator(selector)).to_be_in_viewport(ratio=1)
    shoot(page, f"scores-{width}-{scheme}")


def test_forced_colours_keep_the_levels_apart(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, forced_colors="active")
    write(page, TEXT)
    colour(page, "surprise")
    expect(words(page)).to_contain_text("log-probability")
    feet = page.locator(".shade-sample").evaluate_all(
        """all => all.map((each) => getComputedStyle(each))
          .map((style) => style.borderBlockEndWidth + style.borderBlockEndStyle)"""
    )
    assert len(set(feet)) == 5
    shoot(page, "scores-forced-1440")
