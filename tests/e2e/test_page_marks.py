"""Rows that are no token, a beginning that stands twice, and where writing on ends, with a model that has them all."""

import base64
import re
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from axe import assert_clean
from models import padded
from pages import OpenPage, Stack, generating, look_at, rows, running, settled, shoot, write
from playwright.sync_api import Locator, Page, expect

TEXT = "The little girl was very"  # after which the row that is no token is the likeliest
RIVAL = " excited"
NAME = f"no token, id {padded.NONE}"


@pytest.fixture(scope="module")
def padded_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A model with a padded vocabulary; the same without a mark in front; and the bundled one."""
    folder = tmp_path_factory.mktemp("models")
    padded.build(folder / "padded", RIVAL)
    padded.build(folder / "bare", RIVAL, mark_in_front=False)
    with running(NEXTTOKEN_MODEL=str(folder / "padded"), NEXTTOKEN_MODELS=str(folder / "bare")) as stack:
        for name in ("padded", "bare"):
            stack.server.wait_for("model ready", model=str(folder / name))
        yield stack


@pytest.fixture
def page(open_page: OpenPage, padded_stack: Stack) -> Page:
    page = open_page(padded_stack.url)
    settled(page)
    write(page, TEXT)
    page.keyboard.press("Escape")
    return page


@pytest.fixture
def phone(open_page: OpenPage, padded_stack: Stack) -> Page:
    page = open_page(padded_stack.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    settled(page)
    write(page, TEXT)
    return page


def encoded(text: str) -> str:
    """Base64 of its bytes, as JSON holds them."""
    return base64.b64encode(text.encode()).decode()


def said(page: Page) -> Locator:
    return page.locator(".said")


def switch(page: Page, name: str) -> None:
    """Another model reads the text."""
    page.locator(".models-open").click()
    page.locator("#models-list").get_by_role("button", name=name).first.click()
    expect(page.locator("#models .models-name")).to_have_text(re.compile(name, re.IGNORECASE))
    settled(page)


def unclipped(element: Locator) -> bool:
    return bool(element.evaluate("e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight"))


def test_a_row_that_is_no_token_says_so_to_eye_and_ear(page: Page) -> None:
    first = rows(page).first
    expect(first.locator(".token")).to_have_text(NAME)
    expect(first).to_have_attribute("aria-disabled", "true")
    expect(first).to_have_attribute("aria-label", re.compile(rf"^{NAME}, .+%, rank 1, can’t be appended$"))
    expect(page.locator("#announcer")).to_contain_text(f"most likely {NAME}")
    first.hover()
    expect(first).to_have_attribute("title", re.compile(rf"id {padded.NONE}\nCan’t be appended: the model has a row"))
    assert "special token" not in page.locator("#chart").inner_html()
    shoot(page, "no-token-1440")
    assert_clean(page, "a row that is no token")


def test_it_is_appended_by_no_click_no_key_and_no_focus(page: Page) -> None:
    refused = f"Nothing was appended: the model has a row for id {padded.NONE}, but its tokenizer has no token for it."
    box = rows(page).first.bounding_box()
    assert box

    def press(key: str) -> None:
        rows(page).first.focus()
        page.keyboard.press(key)

    def click() -> None:
        page.mouse.click(box["x"] + 40, box["y"] + box["height"] / 2)

    acts: list[Callable[[], None]] = [click, *(partial(press, key) for key in ("1", "Enter", " ", "ArrowRight"))]
    for act in acts:
        act()
        expect(said(page)).to_contain_text(refused)
        expect(page.locator("#announcer")).to_contain_text(refused)
        expect(page.locator("#text")).to_have_value(TEXT)
        page.locator("#temperature").fill("0.9" if page.locator("#temperature").input_value() == "1" else "1")
        expect(said(page)).to_be_hidden()
        settled(page)
    rows(page).first.focus()  # single keys act nowhere inside a field
    page.keyboard.press("m")
    expect(page.locator("#text")).to_have_value(TEXT + RIVAL)
    settled(page)


def test_the_dice_say_that_they_fell_on_none(page: Page) -> None:
    page.locator("#temperature").fill("0")
    settled(page)
    rows(page).first.focus()
    page.keyboard.press("r")
    expect(said(page)).to_contain_text(f": {NAME}, rank 1, 100")
    expect(said(page)).to_have_text(f"The dart landed on {NAME}, so nothing was appended.")
    expect(page.locator("#announcer")).to_have_text(f"The dart landed on {NAME}, so nothing was appended.")
    page.keyboard.press("w")
    expect(said(page)).to_have_text(f"The dart landed on {NAME}, so nothing was appended. 0 tokens generated.")
    expect(page.locator("#text")).to_have_value(TEXT)
    shoot(page, "no-token-rolled-1440")


def test_on_a_phone_its_number_is_whole(phone: Page) -> None:
    token = rows(phone).first.locator(".token")
    expect(token).to_have_text(NAME)
    assert unclipped(token)
    box = rows(phone).first.bounding_box()
    other = rows(phone).nth(1).bounding_box()
    assert box
    assert other
    assert box["height"] == other["height"]
    phone.touchscreen.tap(box["x"] + 30, box["y"] + box["height"] / 2)
    expect(said(phone)).to_contain_text("Nothing was appended")
    shoot(phone, "no-token-360")


def test_a_beginning_that_stands_twice_is_pointed_out_until_it_is_mended(page: Page, phone: Page) -> None:
    note = page.locator(".prompt-note")
    expect(note).to_be_hidden()
    for each in (page, phone):
        write(each, f"<|endoftext|>{TEXT}")
        expect(each.locator(".prompt-note")).to_contain_text("“\u2068<|endoftext|>\u2069” is at the beginning twice")
        expect(each.locator(".prompt-note")).to_contain_text("Delete yours")
        shoot(each, f"doubled-beginning-{each.viewport_size['width']}")  # type: ignore[index]
    assert_clean(page, "a doubled beginning")
    write(page, TEXT)
    expect(note).to_be_hidden()
    switch(page, "bare")
    write(page, f"<|endoftext|>{TEXT}")
    expect(note).to_be_hidden()


def test_writing_on_passes_a_roles_mark_and_ends_at_the_models_end(page: Page) -> None:
    generating(page, (padded.CHANNEL, "<|channel|>"), (padded.CHANNEL, "<|channel|>"), (0, "<|endoftext|>"))
    page.keyboard.press("w")
    expect(said(page)).to_have_text("The text has ended: “\u2068<|endoftext|>\u2069”. 3 tokens generated.")
    ends = page.locator("#prompt .token.special:not(.onward)")
    expect(ends).to_have_text(["<|endoftext|>", "<|channel|>", "<|channel|>", "<|endoftext|>"])
    settled(page)
    shoot(page, "text-ended-1440")
    page.unroute("**/api/generate")
    switch(page, "bare")
    expect(said(page)).to_be_hidden()


@pytest.mark.parametrize("change", ["temperature", "model", "text", "place"])
def test_that_the_text_has_ended_is_not_said_of_anything_else(page: Page, change: str) -> None:
    generating(page, (0, "<|endoftext|>"))
    page.keyboard.press("w")
    expect(said(page)).to_contain_text("The text has ended")
    settled(page)
    page.unroute("**/api/generate")
    if change == "temperature":
        page.locator("#temperature").fill("0.5")
    elif change == "model":
        switch(page, "Demo model")
    elif change == "text":
        write(page, "Another text")
    else:
        look_at(page, 2)
    expect(said(page)).to_be_hidden()
    settled(page)
    expect(said(page)).to_be_hidden()


def test_a_first_token_that_nothing_stands_before_has_no_surprise(page: Page) -> None:
    switch(page, "bare")
    with page.expect_response("**/api/score") as scored:
        page.locator("#shade-choice").select_option("surprise")
    first, *others = scored.value.json()["tokens"]
    assert first["unconditioned"]
    assert not any(token["unconditioned"] for token in others)
    tokens = page.locator("#prompt .tokens .token:not(.onward)")
    expect(tokens.nth(1)).to_have_attribute("data-level", re.compile(r"\d"))
    assert tokens.first.get_attribute("data-level") is None
    expect(page.locator(".shade-words")).to_contain_text(f"{len(others)} tokens: log-probability")
    tokens.first.hover()
    expect(page.locator("#detail")).to_contain_text("none: first token")
    shoot(page, "first-token-1440")
    look_at(page, 0)
    expect(page.locator(".look-words")).to_have_text(
        "Token 1 of 5 is “\u2068The\u2069”. It is the first token: these are the bars of an empty text."
    )
    name = rows(page).nth(1).locator(".token").inner_text()
    rows(page).nth(1).click()
    expect(page.locator("#text")).to_have_value(name)
    settled(page)
    assert tokens.first.get_attribute("data-level") is None
