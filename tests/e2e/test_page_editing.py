"""Editing: what an edit leaves untouched keeps its tokens, special ones too, and only what is written is tokenized."""

import re
from typing import Any

import pages
from axe import assert_clean
from pages import OpenPage, Stack, answered, click_bar, intercept, rows, settled, shoot, write
from playwright.sync_api import Locator, Page, Route, expect

END = "<|endoftext|>"


def chips(page: Page) -> Locator:
    return page.locator("#prompt .token:not(.onward)")


def asked(page: Page, act: Any) -> dict[str, Any]:
    """What is asked for a text once it is edited; of several questions, which slow typing asks, the last."""
    sent = pages.asked(page, "/api/next-token")
    act()
    expect(page.locator("#prompt:not([data-draft])")).to_be_visible()
    settled(page)
    return [question for question in sent if "parts" in question or "text" in question][-1]


def ended(page: Page) -> None:
    """Generates one token: the text's end."""

    def draw(route: Route) -> None:
        answer = route.fetch().json()
        for drawn in answer["drawn"]:
            drawn.update(token_id=0, text=END, bytes="PHxlbmRvZnRleHR8Pg==", is_special=True)
        route.fulfill(json=answer)

    intercept(page, "**/api/next-token", draw)
    rows(page).first.focus()
    page.keyboard.press("r")
    expect(chips(page).last).to_have_text(END)
    settled(page)
    page.unroute("**/api/next-token")


def test_typing_on_after_the_end_keeps_it(page: Page) -> None:
    write(page, "Tom has a red")
    click_bar(page, 2)
    ended(page)
    names = chips(page).all_inner_texts()
    ids = page.locator("#text")
    ids.press("End")
    question = asked(page, lambda: ids.press_sequentially(" and so"))
    assert question["parts"][0][-1] == 0
    assert len(question["parts"][0]) == len(names)
    expect(chips(page).filter(has_text=END)).to_have_count(names.count(END))
    assert chips(page).all_inner_texts()[: len(names)] == names
    assert len(chips(page).all()) > len(names)
    expect(page.locator(".prompt-note")).to_be_hidden()
    question = asked(page, lambda: page.keyboard.insert_text("on"))
    assert question["parts"][1] == " and soon"
    shoot(page, "edited-after-the-end")


def test_an_edit_before_them_leaves_picked_tokens_as_they_are(page: Page) -> None:
    write(page, "Tom has a red")
    picked = [click_bar(page, index) for index in (7, 5, 3)]
    behind = chips(page).all_inner_texts()[-3:]
    text = page.locator("#text")
    question = asked(page, lambda: text.fill("Lily has a red" + "".join(picked)))
    first, ids = question["parts"]
    assert (first, len(ids)) == ("Lily has a red", 3)
    assert chips(page).all_inner_texts()[-3:] == behind
    expect(text).to_have_value("Lily has a red" + "".join(picked))


def test_the_page_says_which_special_token_was_removed(page: Page) -> None:
    write(page, "Tom has a red")
    ended(page)
    click_bar(page, 0)
    ends = chips(page).filter(has_text=END).count()
    note = page.locator(".prompt-note")
    expect(note).to_be_hidden()
    asked(page, lambda: page.locator("#text").fill("Sue"))
    expect(note).to_have_text(f"“\u2068{END}\u2069” was removed with the text around it. Undo brings it back.")
    shoot(page, "special-token-removed")
    assert_clean(page, "a special token removed")
    page.locator("[data-verb=undo]").click()
    expect(chips(page).filter(has_text=END)).to_have_count(ends)
    expect(note).to_be_hidden()


def test_a_text_typed_in_several_goes_is_tokenized_as_one(page: Page) -> None:
    text = page.locator("#text")
    write(page, "The girl was very")
    whole = chips(page).all_inner_texts()
    write(page, "The gi")
    rows(page).first.focus()
    text.press("End")
    question = asked(page, lambda: text.press_sequentially("rl was very"))
    assert question["text"] == "The girl was very"
    assert chips(page).all_inner_texts() == whole


def test_what_was_typed_survives_a_reload_as_it_was(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url)
    settled(page)
    click_bar(page, 4)
    value = page.locator("#text").input_value()
    page.locator("#text").press("End")
    asked(page, lambda: page.locator("#text").press_sequentially(" un"))
    page.wait_for_timeout(500)
    with page.expect_response(answered):
        page.reload()
    settled(page)
    expect(page.locator("#text")).to_have_value(f"{value} un")
    page.locator("#text").press("End")
    question = asked(page, lambda: page.locator("#text").press_sequentially("der"))
    assert question["parts"][1] == " under"
    assert re.fullmatch(r"\d+", str(question["parts"][0][-1]))
