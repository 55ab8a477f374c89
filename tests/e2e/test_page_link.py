"""A link that restores everything, and one that can't."""

import base64
import csv
import io
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from pages import OpenPage, Stack, body, click_bar, intercept, percents, rows, settled, shoot, write
from playwright.sync_api import Page, expect
from sharing import copied, saved, share, writable

TEXT = "The little girl was very"


@pytest.fixture
def page(page: Page) -> Page:
    return writable(page, TEXT)


def tokens(page: Page) -> list[str]:
    return page.locator("#prompt .token:not(.onward)").all_text_contents()


def test_a_link_restores_text_tokens_settings_and_model_elsewhere(page: Page, open_page: OpenPage) -> None:
    click_bar(page, 4)
    page.get_by_role("button", name="More settings").click()
    page.get_by_role("spinbutton", name="Temperature as a number").fill("0.65")
    page.get_by_role("spinbutton", name="Top-p as a number").fill("0.9")
    page.locator("#top-k").fill("7")
    settled(page)
    link = copied(page, "Copy link")
    asked: list[str] = []
    there = open_page("about:blank")
    there.on("request", lambda request: asked.append(request.url))
    there.goto(link)
    settled(there)
    assert there.locator("#text").input_value() == page.locator("#text").input_value()
    assert tokens(there) == tokens(page)
    assert percents(there) == percents(page)
    expect(there.locator("#temperature-number")).to_have_value("0.65")
    expect(there.locator("#top-p-number")).to_have_value("0.9")
    assert rows(there).count() == 7
    fragment = urlsplit(link).fragment
    assert fragment
    assert all(fragment not in url for url in asked), "nothing of it is sent to a server"
    assert there.url == page.url, "the address is clean, so a reload keeps what is done from here on"
    click_bar(there, 0)
    longer = there.locator("#text").input_value()
    there.reload()
    settled(there)
    expect(there.locator("#text")).to_have_value(longer)


def test_a_link_pasted_into_the_open_page_is_followed_and_can_be_undone(page: Page) -> None:
    link = copied(page, "Copy link")
    write(page, "Something else")
    page.evaluate("link => { location.hash = new URL(link).hash; }", link)
    expect(page.locator("#text")).to_have_value(TEXT)
    settled(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#text")).to_have_value("Something else")


def test_tokens_that_no_typing_would_give_come_back_as_they_were(page: Page, open_page: OpenPage) -> None:
    page.locator("#top-k-number").fill("50")
    settled(page)
    for index in (30, 41, 17):
        click_bar(page, index)
    link = copied(page, "Copy link")
    there = open_page(link)
    settled(there)
    assert tokens(there) == tokens(page)
    assert percents(there) == percents(page)


def fragment(**said: Any) -> str:
    settings = {"topK": 10, "temperature": 1, "topP": 1, "minP": 0}
    content = {"version": 1, "model": "bundled", "text": "Tom", "ids": None, "settings": settings, **said}
    packed = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    return f"#ntv={packed}"


def test_a_model_that_is_not_there_is_said_in_words(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url + "/" + fragment(model="acme/Huge-7B", ids=[1, 2, 3], text="Tom and his dog"))
    settled(page)
    note = page.locator("#link-note")
    expect(note).to_contain_text("Huge-7B")
    expect(note).to_contain_text("which this server does not offer")
    expect(page.locator("#text")).to_have_value("Tom and his dog")
    shoot(page, "link-other-model-1440")
    click_bar(page, 0)
    expect(note).to_be_hidden()


@pytest.mark.parametrize(
    ("hash_", "words"),
    [
        ("#ntv=%3Cscript%3Ealert(1)%3C/script%3E", "missing or changed"),
        (fragment(text=7), "its text is invalid"),
        (fragment(ids=["<img src=x onerror=alert(1)>"]), "no token ids"),
        (fragment(settings={"topK": 1e9}), "topK is not a number from 1 to 1000"),
        (fragment(text="x" * 40_000), "longer than any"),
    ],
)
def test_a_hostile_link_is_refused_in_words(open_page: OpenPage, stack: Stack, hash_: str, words: str) -> None:
    page = open_page(stack.url + "/" + hash_)
    settled(page)
    expect(page.locator("#link-note")).to_contain_text(words)
    expect(page.locator("#text")).to_have_value("Once upon a time")
    assert page.title() == "Next-Token Visualizer"
    write(page, "Tom")
    expect(page.locator("#link-note")).to_be_hidden()


@pytest.mark.noted("the server responded with")
def test_a_link_with_ids_beyond_the_vocabulary_is_refused_by_the_server_beside_the_text(
    open_page: OpenPage, stack: Stack
) -> None:
    page = open_page(stack.url + "/" + fragment(ids=[2_000_000_000]))
    expect(page.locator("#text-trouble")).to_contain_text("2,000,000,000")
    expect(page.locator("#text")).to_have_value("Tom")
    write(page, "Tom and")
    expect(page.locator("#text-trouble")).to_be_hidden()


@pytest.mark.noted("net::ERR_FAILED")
def test_a_text_too_long_for_a_link_says_so(page: Page) -> None:
    intercept(
        page, "**/api/next-token", lambda route: route.abort() if body(route.request).get("text") else route.continue_()
    )
    page.locator("#text").fill("word " * 8000)
    share(page, "Copy link")
    expect(page.locator(".share-said")).to_contain_text("too long for a link")


def test_a_link_carries_the_pins_and_every_export_holds_them(page: Page, open_page: OpenPage) -> None:
    page.locator("#temperature-number").fill("0.5")
    settled(page)
    page.locator("#pin").click()
    page.locator("#temperature-number").fill("1.3")
    settled(page)
    click_bar(page, 2)
    page.locator("#pin").click()
    sides = [TEXT, page.locator("#text").input_value()]
    click_bar(page, 0)
    there = open_page(copied(page, "Copy link"))
    there.context.grant_permissions(["clipboard-read", "clipboard-write"])
    settled(there)
    expect(there.locator(".pin-text").first).to_contain_text(TEXT[-20:])
    expect(there.locator(".pins-words")).to_have_text(page.locator(".pins-words").inner_text())
    strips = "all => all.map(each => each.style.getPropertyValue('--share'))"
    settled(there)
    shares = [
        [float(share or 0) for share in each.locator("#chart .strip").evaluate_all(strips)] for each in (page, there)
    ]
    assert shares[1] == pytest.approx(shares[0], abs=1e-4)
    header, *lines = csv.reader(io.StringIO(copied(there, "CSV"), newline=""))
    table = [dict(zip(header, line, strict=True)) for line in lines]
    assert header[:10] == [
        "side",
        "model",
        "prompt",
        "temperature",
        "filters",
        "rank",
        "token",
        "bytes",
        "probability",
        "logprob",
    ]
    assert [next(row["prompt"] for row in table if row["side"] == side) for side in "AB"] == sides
    for side, temperature in (("current", "1.3"), ("A", "0.5"), ("B", "1.3")):
        assert {row["temperature"] for row in table if row["side"] == side} == {temperature}
        assert sum(float(row["probability"]) for row in table if row["side"] == side) == pytest.approx(1, abs=1e-4)
    assert [pin["name"] for pin in json.loads(copied(there, "JSON"))["pins"]] == ["A", "B"]
    assert "\nA: " in copied(there, "Copy as text")
    assert 'class="pinB"' in saved(there, "SVG").decode()
    shoot(there, "link-with-pins-1440")
