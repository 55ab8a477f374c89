"""A text that cannot be tokenized, and tokens whose bars cannot be had: the page shows no tokens of another text."""

import re

import pytest
from pages import OpenPage, Stack, rows, settled, shoot, write
from playwright.sync_api import Page, expect


@pytest.mark.noted("the server responded with")
def test_a_text_too_long_has_no_tokens_of_the_former(page: Page) -> None:
    write(page, "Tom and his dog")
    chips = page.locator("#prompt .token:not(.onward)")
    before = chips.count()
    page.locator("#text").fill("Tom and his dog " * 400)
    expect(page.locator("#prompt .trouble")).to_contain_text("context window")
    expect(chips).to_have_count(0)
    expect(page.locator(".prompt-count")).to_have_text("not tokenized")
    shoot(page, "too-long-1440")
    write(page, "Tom and his dog")
    expect(chips).to_have_count(before)
    expect(page.locator(".prompt-count")).to_have_text(re.compile(rf"^{before} tokens of \d+$"))


@pytest.mark.noted("net::ERR_")
def test_offline_the_count_is_that_of_the_tokens(page: Page) -> None:
    write(page, "Tom and his dog")
    count = page.locator("#prompt .token:not(.onward)").count()
    page.context.set_offline(True)
    expect(page.locator("#status[data-tone=bad]")).to_be_visible()
    rows(page).first.click()
    expect(page.locator("#prompt .token:not(.onward)")).to_have_count(count + 1)
    expect(page.locator(".prompt-count")).to_have_text(re.compile(rf"^{count + 1} tokens"))
    page.context.set_offline(False)
    settled(page)


def test_each_token_of_a_character_can_be_looked_at(page: Page) -> None:
    write(page, "I have a ☀")
    parts = page.locator("#prompt [data-part]")
    expect(parts).to_have_count(3)
    expect(parts.first).to_have_text("☀")
    for at in range(3):
        part = parts.nth(at)
        expect(part).to_have_attribute("aria-label", re.compile(rf"^☀, token {at + 1} of 3: "))
        part.click()
        expect(part).to_have_attribute("aria-current", "location")
        settled(page)
        expect(page.locator("#chart[data-looking]")).to_be_visible()
        expect(page.locator("#chart [data-taken]")).to_have_count(1)
    shoot(page, "parts-of-a-character-1440")
    rows(page).nth(1).click()
    settled(page)
    assert not page.locator("#text").input_value().endswith("☀")


def test_on_a_phone_the_card_leaves_the_way_back_free(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    settled(page)
    write(page, "Tom and his dog")
    page.evaluate("document.activeElement.blur()")
    page.locator("#prompt .token").nth(1).tap()
    expect(page.locator("#detail")).to_be_visible()
    back = page.locator(".look button")
    expect(back).to_be_visible()
    settled(page)
    line, card = page.locator(".look").bounding_box(), page.locator("#detail").bounding_box()
    assert line
    assert card
    assert card["y"] >= line["y"] + line["height"] or card["y"] + card["height"] <= line["y"]
    shoot(page, "card-on-a-phone-360")
    back.tap()
    expect(page.locator("#chart[data-looking]")).to_have_count(0)
