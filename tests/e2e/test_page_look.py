"""A token of the text shows what could have stood at its place; another bar there is a branch; and the way back."""

import re

import pytest
from pages import (
    OpenPage,
    Stack,
    body,
    branch_at,
    click_bar,
    intercept,
    look_at,
    number,
    open_tab,
    percents,
    rows,
    settled,
    shoot,
    write,
)
from playwright.sync_api import Page, expect

TEXT = "Tom and his dog went to the"


def place(page: Page) -> str:
    """What the line above the bars says, without isolates."""
    return re.sub("[\u2068\u2069]", "", page.locator(".look-words").inner_text())


def test_a_token_shows_the_bars_that_stood_at_its_place_and_escape_leads_back(page: Page) -> None:
    write(page, TEXT)
    before = percents(page)
    appended = click_bar(page, 2)
    text = page.locator("#text").input_value()
    end = percents(page)
    look_at(page, 8)
    expect(page.locator("#text")).to_have_value(text)
    assert percents(page) == before
    assert re.fullmatch(rf"Token 9 of 9 is “·{appended.strip()}”: [\d.]+\s%, rank 3\.", place(page))
    expect(page.locator("#chart [data-taken] .token")).to_have_text(appended)
    expect(page.locator("#prompt [aria-current=location]")).to_have_text(appended)
    page.keyboard.press("Escape")
    expect(page.locator(".look")).to_be_hidden()
    settled(page)
    assert percents(page) == end
    look_at(page, 3)
    page.get_by_role("button", name="Back to the end").click()
    settled(page)
    expect(rows(page).first).to_be_focused()
    assert percents(page) == end


def test_another_bar_there_is_a_branch_and_what_followed_stays_reachable(page: Page) -> None:
    write(page, TEXT)
    click_bar(page, 0)
    click_bar(page, 1)
    whole = page.locator("#text").input_value()
    branch_at(page, 8, 3)
    expect(page.locator(".look")).to_be_hidden()
    branch = page.locator("#text").input_value()
    assert branch.startswith(TEXT)
    assert branch != whole
    open_tab(page, "Paths")
    expect(page.locator("#paths .path")).to_have_count(4)
    page.locator("#paths .path").nth(2).click()
    expect(page.locator("#text")).to_have_value(whole)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#text")).to_have_value(branch)


def test_a_token_far_down_has_a_bar_of_its_own(page: Page) -> None:
    write(page, "Tom and his xylophone")
    with page.expect_request("**/api/next-token") as asked:
        page.locator("#prompt .token").nth(4).click()
    question = body(asked.value)
    assert len(question["token_ids"]) == 4
    assert len(question["watch_token_ids"]) == 1
    settled(page)
    far = page.locator("#chart [data-far]")
    expect(far).to_have_count(1)
    expect(far).to_have_attribute("data-taken", "")
    rank = int(far.locator(".rank").inner_text().replace(",", ""))
    assert rank > 10
    assert f"rank {rank:,}." in place(page)
    assert sum(percents(page)) == pytest.approx(100, abs=0.5)
    shoot(page, "look-far-1440")
    room = far.locator(".rank").evaluate("""rank => {
        rank.textContent = "49,152";
        const words = document.createRange();
        words.selectNodeContents(rank);
        return words.getBoundingClientRect().left - rank.closest(".row").getBoundingClientRect().left;
    }""")
    assert room >= 3, "clear of the bracket"
    page.get_by_role("spinbutton", name="Temperature as a number").fill("2")
    settled(page)
    warm = page.request.post(f"{page.url}api/next-token", data={**question, "temperature": 2}).json()["watched"][0]
    assert warm["rank"] == rank
    assert number(far.locator(".percent").inner_text()) == pytest.approx(warm["probability"] * 100, rel=0.05)
    # The token that stands there anyway leads on along the text.
    far.locator(".row").click()
    settled(page)
    expect(page.locator("#text")).to_have_value("Tom and his xylophone")


def test_the_bars_of_a_place_are_those_the_server_gives_for_the_ids_before_it(page: Page) -> None:
    write(page, TEXT)
    with page.expect_response("**/api/next-token") as answer:
        page.locator("#prompt .token").nth(5).click()
    settled(page)
    told = answer.value.json()
    shown = [number(words) for words in page.locator("#chart .bars .percent").all_inner_texts()]
    for printed, candidate in zip(shown, told["candidates"], strict=False):
        assert printed == pytest.approx(candidate["probability"] * 100, abs=0.06)
    assert told["watched"][0]["text"] == " went"


def test_looking_by_keyboard(page: Page) -> None:
    write(page, TEXT)
    page.keyboard.press("Escape")
    page.locator("#prompt .token").last.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    settled(page)
    assert place(page).startswith("Token 5 of 8 is “·dog”")
    expect(page.locator("#announcer")).to_contain_text(re.compile(r"Token 5 of 8 is space dog: .+ Most likely "))
    expect(page.locator("#prompt .token").nth(4)).to_be_focused()
    page.keyboard.press("3")
    settled(page)
    expect(page.locator("#prompt .token")).to_have_count(5)
    page.keyboard.press("Control+Z")
    expect(page.locator("#text")).to_have_value(TEXT)


def test_typing_and_the_very_first_mark_while_looking(page: Page) -> None:
    write(page, TEXT)
    page.locator("#prompt .token.special").click()
    expect(page.locator(".look")).to_be_hidden()
    look_at(page, 3)
    page.locator("#text").press("Control+End")
    page.locator("#text").press_sequentially(" park", delay=5)
    expect(page.locator(".look")).to_be_hidden()
    settled(page)
    expect(page.locator("#text")).to_have_value(f"{TEXT} park")
    look_at(page, 3)
    page.reload()
    settled(page)
    expect(page.locator("#text")).to_have_value(f"{TEXT} park")


@pytest.mark.noted("the server responded with a status of 503")
def test_a_place_that_cannot_be_asked_says_so_and_leads_back(page: Page) -> None:
    write(page, TEXT)
    refusal = {"error": "The model is busy.", "code": "unavailable"}
    intercept(page, "**/api/next-token", lambda route: route.fulfill(status=503, json=refusal))
    page.locator("#prompt .token").nth(4).click()
    expect(page.locator(".chart-trouble")).to_contain_text("The model is busy.")
    assert place(page).startswith("Token 5 of 8 is “·dog”.")
    page.keyboard.press("Escape")
    expect(page.locator(".chart-trouble")).to_be_hidden()
    expect(page.locator(".look")).to_be_hidden()
    settled(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900)])
def test_at_every_width(open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    write(page, TEXT)
    look_at(page, 4)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    expect(rows(page).nth(3)).to_be_in_viewport(ratio=1)
    shoot(page, f"look-{width}-{scheme}")
