"""A mask in the list of sampler steps: what it forbids, from where on it holds, where it ends, what is refused."""

import re

import pytest
from pages import OpenPage, Stack, answered, asked, body, click_bar, open_tab, rows, settled, shoot, write
from playwright.sync_api import Page, expect

REFUSED = "the server responded with a status of 400 (Bad Request)"
FELL = "#chart li[data-fell] .fell"


@pytest.fixture
def page(open_page: OpenPage, stack: Stack) -> Page:
    page = open_page(stack.url, reduced_motion="reduce")
    open_tab(page, "Settings")
    page.locator("#samplers summary").click()
    write(page, "Tom had")
    return page


def hold(page: Page, text: str, kind: str = "choices") -> None:
    """Switches the mask on with this form; waits for its bars."""
    page.get_by_label("The text is").select_option(kind)
    settled(page)  # a kind whose text is still empty masks nothing, and asks for that
    page.locator(".mask textarea").fill(text)
    with page.expect_response(answered) as response:
        page.locator(".mask textarea").blur()
    assert "mask" in body(response.value.request)["samplers"][0]
    settled(page)


@pytest.mark.noted(REFUSED)  # nothing may follow the end
def test_it_removes_tokens_holds_from_its_first_one_and_ends(page: Page) -> None:
    page.get_by_label("Mask", exact=True).check()
    expect(page.locator(".mask-place")).to_have_text("Begins with the next token.")
    hold(page, " a dog\n a big red ball")
    expect(page.locator(FELL)).to_have_text(["removed by mask"] * 9)
    expect(page.locator("[data-step=mask] .sampler-left")).to_have_text(re.compile(r"^1 token, .+ left$"))
    expect(page.locator(".chart-entropy")).to_contain_text("before all steps")
    shoot(page, "mask-1440")
    asks = asked(page, "/api/next-token")
    assert click_bar(page, 0) == " a"
    assert asks[-1]["constrained_from"] == 3
    expect(page.locator(".mask-place")).to_have_text(re.compile("^Holds from token 4 on, .+·a"))
    page.keyboard.press("Control+z")
    settled(page)
    expect(page.locator(".mask-place")).to_have_text("Begins with the next token.")
    page.keyboard.press("Control+Shift+z")
    settled(page)

    write(page, "Tim and his mom had a")  # before the masked token
    assert [asks[-1]["constrained_from"], len(asks[-1]["token_ids"])] == [6, 7]
    asks = asked(page, "/api/generate")
    page.locator("#pace").fill("20")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".said")).to_contain_text("The text has ended")
    assert len(asks[0]["token_ids"]) == 6
    assert len(asks[0]["resume"][0]["token_ids"]) == 1
    expect(page.locator("#text")).to_have_value(re.compile("^Tim and his mom had a (dog|big red ball)$"))
    page.locator("#prompt .token").last.click()
    settled(page)
    expect(page.locator(".mask-end")).to_have_text("The text is complete: only its end may come next.")
    page.reload()
    expect(page.locator("#samplers summary")).to_contain_text("(1 sampler step)")
    page.locator("#samplers summary").click()
    page.locator("#prompt .token").nth(6).click()
    settled(page)
    expect(page.locator(FELL).first).to_have_text("removed by mask")
    page.locator("#text").fill("Something else")
    expect(page.locator(".mask-place")).to_have_text("The mask was switched off: the text where it began was changed.")
    expect(page.get_by_label("Mask", exact=True)).not_to_be_checked()
    settled(page)
    expect(page.locator(FELL)).to_have_count(0)


@pytest.mark.noted(REFUSED)
def test_what_is_refused_stands_at_the_step_and_other_texts_ask_for_another_place(page: Page) -> None:
    page.get_by_label("Mask", exact=True).check()
    hold(page, " [a-z]+", "regex")
    assert rows(page).first.inner_text()
    page.locator(".mask textarea").fill(" [a-z")
    expect(page.locator("#mask-trouble")).to_contain_text("Regex of mask can't be read")
    expect(page.locator(".mask textarea")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("The text is").select_option("json_schema")
    page.locator(".mask textarea").fill("{")
    expect(page.locator("#mask-trouble")).to_contain_text("Not JSON yet")
    hold(page, '{"type": "object"}', "json_schema")
    expect(page.locator("#mask-trouble")).to_be_empty()
    hold(page, 'root ::= " a" tail?\ntail ::= " dog"', "grammar")
    assert click_bar(page, 0) == " a"
    expect(page.locator(".mask-end")).to_have_text("The text may end here.")
    rows(page).first.click()  # what the mask removed
    expect(page.locator("#mask-trouble")).to_contain_text("which the mask doesn’t allow there")
    expect(page.locator(".chart-trouble")).to_contain_text("which the mask doesn’t allow there")
    page.get_by_role("button", name="Begin with the next token").click()
    settled(page)
    expect(page.locator("#mask-trouble")).to_be_empty()
    expect(page.locator(".mask-place")).to_have_text("Begins with the next token.")
