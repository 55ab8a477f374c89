"""The surface Chat: turns with roles in the model's own template; clicks build the open one, and nothing is lost."""

import re
from urllib.parse import urlsplit

import pytest
from axe import violations
from pages import OpenPage, Stack, asked, open_tab, rows, settled, shoot, write
from playwright.sync_api import Locator, Page, expect

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def chat(page: Page) -> Page:
    """A model with a template, and a conversation that begins with the text."""
    choose(page, "second-model")
    write(page, "Once upon a time")
    page.get_by_role("tab", name="Chat").click()
    ready(page)
    expect(page.locator(".turn textarea:visible").last).to_be_focused()  # what is typed now is no shortcut
    page.keyboard.press("Escape")
    expect(rows(page).first).to_be_focused()
    first, around = page.locator(".turn textarea:visible").first.bounding_box(), page.locator(".turns").bounding_box()
    assert first
    assert around
    assert first["y"] - around["y"] >= 3, "room for the outline of the focus"
    return page


def choose(page: Page, name: str) -> None:
    page.locator(".models-open").click()
    page.locator("#models-list").get_by_role("button", name=re.compile(name)).first.click()
    expect(page.locator(".models-name")).to_have_text(re.compile(name, re.IGNORECASE))
    settled(page)


def ready(page: Page) -> None:
    """The conversation has its tokens, and the bars are its."""
    expect(page.locator(".chat-line .prompt-count")).to_have_text(re.compile(r"\d+ tokens"))
    expect(page.locator("#prompt:not([data-draft])")).to_be_attached()
    settled(page)


def turns(page: Page) -> Locator:
    return page.locator(".turn:not([hidden])")


def words(page: Page) -> list[tuple[str, str]]:
    """Each turn's role and what it says: as an editor, or as tokens."""
    return [
        (str(turn.get_attribute("data-role")), editor.input_value() if editor.is_visible() else spelled(turn))
        for turn in turns(page).all()
        for editor in [turn.locator("textarea")]
    ]


def spelled(turn: Locator) -> str:
    return "".join(turn.locator(".token:not(.ghost)").all_text_contents())


def test_the_text_becomes_a_message_and_clicks_the_answer(chat: Page) -> None:
    assert words(chat) == [("user", "Once upon a time"), ("assistant", "")]
    assert chat.locator(".token.ghost").count() == 0
    chat.get_by_label("Show template").check()
    user = turns(chat).nth(1)
    expect(user).to_have_attribute("data-role", "user")
    expect(user.locator(".token.ghost").first).to_be_visible()
    assert spelled(user) == "Once upon a time"
    assert "".join(turns(chat).last.locator(".token.ghost").all_text_contents()) == "assistant: "
    shoot(chat, "chat-template-1280")
    chat.get_by_label("Show template").uncheck()
    expect(chat.locator(".token.ghost")).to_have_count(0)
    rows(chat).first.click()
    ready(chat)
    rows(chat).nth(1).click()
    ready(chat)
    expect(chat.locator(".turn[data-open] .token")).to_have_count(2)
    answer = words(chat)[-1][1]
    chat.get_by_role("button", name="Reply").click()
    chat.keyboard.type("And then?")
    ready(chat)
    assert words(chat) == [
        ("user", "Once upon a time"),
        ("assistant", answer),
        ("user", "And then?"),
        ("assistant", ""),
    ]
    shoot(chat, "chat-1280")
    assert violations(chat) == []
    chat.keyboard.press("Enter")
    expect(chat.locator(".turn[data-open] .token").nth(2)).to_be_visible()
    chat.locator("[data-verb=write]:visible").first.click()
    expect(chat.locator("#actions:not([data-writing])")).to_be_attached()
    settled(chat)
    chat.locator(".turn[data-open] .token").nth(1).click()
    expect(chat.locator("#chart[data-looking]")).to_be_visible()


def test_switching_loses_nothing_and_undo_goes_back(chat: Page) -> None:
    rows(chat).first.click()
    ready(chat)
    said = words(chat)
    chat.get_by_role("tab", name="Text").click()
    expect(chat.locator("#text")).to_be_focused()
    settled(chat)
    expect(chat.locator("#text")).to_have_value("Once upon a time")
    chat.get_by_role("tab", name="Chat").click()
    ready(chat)
    assert words(chat) == said
    chat.locator(".turn textarea:visible").first.fill("Tom had a")
    ready(chat)
    assert words(chat) == [("user", "Tom had a"), said[1]]
    chat.locator(".turn textarea:visible").first.blur()
    chat.locator(".chat-line").get_by_role("button", name="Undo").click()
    ready(chat)
    assert words(chat) == said
    chat.wait_for_timeout(500)  # what is saved is saved a moment later
    chat.reload()
    ready(chat)
    assert words(chat) == said


@pytest.mark.noted("the server responded with a status of 400 (Bad Request)")
def test_messages_are_added_removed_and_refused_in_the_templates_words(chat: Page) -> None:
    add = chat.get_by_role("button", name="Add system message")
    assert add.evaluate("add => { add.click(); return document.activeElement.tagName; }") == "TEXTAREA", "at once"
    chat.keyboard.type("Be kind.")
    ready(chat)
    assert words(chat)[0] == ("system", "Be kind.")
    chat.get_by_label("Role of message 2").select_option("system")
    expect(chat.locator(".surface .trouble")).to_contain_text("The system message must come first.")
    chat.get_by_label("Role of message 2").select_option("user")
    ready(chat)
    expect(chat.locator(".surface .trouble")).to_be_hidden()
    chat.get_by_role("button", name="Remove message 1, System").click()
    ready(chat)
    assert words(chat) == [("user", "Once upon a time"), ("assistant", "")]


def test_a_special_token_that_a_message_names_is_pointed_out_and_read_as_plain_characters(chat: Page) -> None:
    sent = asked(chat, "/api/chat/render")
    note = chat.locator(".surface .special-note:visible")
    chat.locator(".turn textarea:visible").first.fill("Say <|endoftext|> now")
    expect(note).to_contain_text("“⁨<|endoftext|>⁩” is a special token here, not text.")
    ready(chat)
    chat.get_by_label("Show template").check()
    user = turns(chat).nth(1)
    expect(user.locator(".token.special:not(.ghost)")).to_have_count(1)
    note.get_by_role("button", name="Read it as plain characters").click()
    expect(note).to_contain_text("Names of special tokens are plain characters in this text.")
    expect(user.locator(".token.special:not(.ghost)")).to_have_count(0)
    ready(chat)
    assert spelled(user).strip() == "Say <|endoftext|> now"
    assert [request.get("special") for request in sent] == [None, "text"]
    compared = asked(chat, "/api/compare")
    chat.get_by_role("tab", name="Compare").click()
    chat.get_by_label("Model of B").select_option(label="Demo model")
    expect(chat.locator(".compare-row:visible").first).to_be_visible()
    assert compared[0]["b"]["special"] == "text"
    assert "<|endoftext|>" in compared[0]["b"]["text"]
    # Both models have the same tokens: B is asked A's own, the template's with them.
    assert compared[-1]["a"]["token_ids"] == compared[-1]["b"]["token_ids"]


def test_a_conversation_among_the_examples_and_a_model_without_a_template(page: Page) -> None:
    page.locator("#examples-open").click()
    page.locator("#examples").get_by_role("button", name=re.compile("^A follow-up")).click()
    expect(page.locator(".chat-none")).to_contain_text("can’t hold a conversation: this model has no chat template.")
    shoot(page, "chat-none-1280")
    choose(page, "second-model")
    ready(page)
    assert [role for role, _ in words(page)] == ["user", "assistant", "user", "assistant"]
    open_tab(page, "Paths")
    page.keyboard.press("Escape")


def test_a_phone(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
    settled(page)
    choose(page, "second-model")
    page.get_by_role("tab", name="Chat").click()
    ready(page)
    rows(page).first.click()
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert sum(row.is_visible() for row in rows(page).all()[:5]) == 5
    shoot(page, "chat-360")
    assert violations(page) == []


def test_one_stream_writes_the_text_and_ends_at_once(page: Page) -> None:
    asked: list[str] = []
    ended: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    for end in ("requestfailed", "requestfinished"):  # broken off, or at the end of its tokens
        page.on(end, lambda request: ended.append(urlsplit(request.url).path))
    write(page, "Once upon a time")
    asked.clear()
    ended.clear()
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    tokens = page.locator("#prompt .token:not(.onward)")
    expect(tokens.nth(7)).to_be_visible()
    page.locator("[data-verb=write]:visible").first.click()
    count = tokens.count()
    page.wait_for_timeout(100)
    assert tokens.count() == count
    page.wait_for_timeout(600)  # longer than a token takes at this pace
    assert tokens.count() == count
    assert asked.count("/api/generate") == 1
    assert ended.count("/api/generate") == 1
    assert "/api/next-token" not in asked[: asked.index("/api/generate")]
    settled(page)
    tokens.nth(6).click()
    expect(page.locator("#chart[data-looking]")).to_be_visible()
