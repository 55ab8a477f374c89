"""What goes wrong: a server that dies and returns, replies out of order, errors, and answers that are not answers."""

import base64
import json
from typing import Any

import pytest
from gateways import gateway_process
from pages import (
    OpenPage,
    Stack,
    body,
    click_bar,
    intercept,
    open_tab,
    percents,
    rows,
    running,
    settled,
    shoot,
    stay_in_window,
    write,
)
from playwright.sync_api import Page, Route, expect
from ports import free_port


def test_the_server_dies_and_returns(page: Page, stack: Stack) -> None:
    write(page, "Tom and his dog")
    appended = click_bar(page, 0)
    stack.kill()
    try:
        status = page.locator("#status[data-tone=bad]")
        expect(status).to_contain_text("your text is safe")
        expect(page.locator("#text")).to_have_value(f"Tom and his dog{appended}")
        expect(rows(page)).to_have_count(10)
        rows(page).nth(1).click()  # the text goes on; its bars come when the server does
        expect(page.locator("#chart[data-stale]")).to_be_visible()
        text = page.locator("#text").input_value()
        assert len(text) > len(f"Tom and his dog{appended}")
        shoot(page, "server-lost-1440")
        stay_in_window(page)
        page.set_viewport_size({"width": 1280, "height": 720})
        page.keyboard.press("p")
        expect(page.locator("#room-line")).to_be_visible()
        expect(status).to_be_in_viewport(ratio=1)  # from the back row too, to its last word
        page.keyboard.press("p")
    finally:
        stack.start()
    settled(page)
    expect(page.locator("#status")).to_have_attribute("data-tone", "calm")
    expect(page.locator("#text")).to_have_value(text)
    assert len(percents(page)) == 11


@pytest.mark.noted("net::ERR_")
def test_the_gateway_dies_and_returns(open_page: OpenPage, stack: Stack) -> None:
    settings = {"NEXTTOKEN_INFERENCE_TARGET": stack.target, "NEXTTOKEN_PORT": str(free_port())}
    with gateway_process(settings) as gateway:
        page = open_page(gateway.url)
        write(page, "Tom and his dog")
        gateway.process.kill()
        expect(page.locator("#status[data-tone=bad]")).to_contain_text("your text is safe")
        rows(page).first.click()
        expect(page.locator("#text")).not_to_have_value("Tom and his dog")
        text = page.locator("#text").input_value()
    with gateway_process(settings):
        settled(page)
        expect(page.locator("#status")).to_have_attribute("data-tone", "calm")
        expect(page.locator("#text")).to_have_value(text)
        page.close()  # before its server


def test_a_late_reply_never_overwrites_a_newer_one(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if body(route.request).get("text") == "Tom and":
            held.append(route)
        else:
            route.continue_()

    intercept(page, "**/api/next-token", hold)
    with page.expect_request(lambda request: body(request).get("text") == "Tom and"):
        page.locator("#text").fill("Tom and")
    write(page, "The little girl was very")
    shares = percents(page)
    answer = page.request.post(held[0].request.url, data=held[0].request.post_data_json)
    held[0].fulfill(response=answer)
    page.wait_for_timeout(300)
    expect(page.locator("#text")).to_have_value("The little girl was very")
    assert percents(page) == shares


def test_replies_to_quick_picks_in_the_wrong_order(page: Page) -> None:
    first_text = page.locator("#text").input_value()
    held: list[Route] = []
    intercept(page, "**/api/next-token", lambda route: held.append(route), times=1)
    rows(page).first.click()
    expect(page.locator("#chart[data-stale]")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    settled(page)
    shares = percents(page)
    click_bar(page, 1)
    page.get_by_role("button", name="Undo").click()
    settled(page)
    held[0].fulfill(response=page.request.post(held[0].request.url, data=held[0].request.post_data_json))
    page.wait_for_timeout(300)
    expect(page.locator("#text")).to_have_value(first_text)
    assert percents(page) == shares


def test_a_default_that_cannot_be_had_says_why_and_the_demo_model_answers(open_page: OpenPage) -> None:
    with running(NEXTTOKEN_MODEL="nobody/has-this") as stack:
        page = open_page(stack.url)
        status = page.locator("#status[data-tone=bad]")
        expect(status).to_contain_text("has-this can’t be used.")
        expect(status).to_contain_text("Using the demo model.")
        settled(page)
        expect(rows(page)).to_have_count(10)
        shoot(page, "default-failed-1440")
        with page.expect_request("**/api/models/load") as asked:
            page.locator("#status").get_by_role("button", name="Try again").click()
        assert body(asked.value) == {"name": "nobody/has-this"}
        assert asked.value.response().status == 200  # type: ignore[union-attr]
        expect(status).to_contain_text("has-this can’t be used.")
        page.locator(".models-open").click()
        expect(page.locator(".models-list li[data-state=failed]")).to_contain_text("default")
        shoot(page, "default-failed-models-1440")
        page.close()  # before its server


def token(token_id: int, content: bytes, rank: int) -> dict[str, Any]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = None
    spelled = {"token_id": token_id, "text": text, "bytes": base64.b64encode(content).decode(), "is_special": False}
    return {**spelled, "rank": rank, "logit": -rank / 2, "probability": 0.3 / rank, "logprob": -1.0}


HOSTILE = [
    b"<script>document.title='taken'</script>",
    "\u202egnp.exe".encode(),
    b"x" * 5000,
    b"\xe2\x9c",
    b"\x00\x1b[31m",
    b"",
    b"<img src=x onerror=document.title='taken'>",
    "مرحبا بالعالم".encode(),
    "👩‍👩‍👧‍👦".encode(),
    b"\r\n\n\n\n\n\t\t   ",
]


def spoiled(page: Page, change: Any) -> None:
    """From now on the server's answers arrive as `change` makes them."""

    def spoil(route: Route) -> None:
        answer = page.request.post(route.request.url, data=route.request.post_data_json).json()
        route.fulfill(status=200, content_type="application/json", body=json.dumps(change(answer)))

    intercept(page, "**/api/next-token", spoil)


def test_hostile_tokens_inject_nothing_and_break_nothing(page: Page) -> None:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        tokens = [token(100 + at, content, at + 1) for at, content in enumerate(HOSTILE)]
        more = [token(1000 + at, b" w%d" % at, at + 11) for at in range(10_000)]
        return {**answer, "candidates": tokens + more, "other_probability": 0.1}

    spoiled(page, change)
    rows(page).first.click()
    settled(page)
    expect(rows(page)).to_have_count(10)
    assert page.title() == "Next-Token Visualizer"
    assert page.locator("#chart script, #chart img").count() == 0
    widest = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert widest <= 0
    shoot(page, "hostile-1440")
    for index in range(10):
        rows(page).nth(index).click()
        settled(page)
    assert page.title() == "Next-Token Visualizer"
    assert page.locator("#prompt script, #prompt img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    shoot(page, "hostile-text-1440")
    page.locator("#text").evaluate("editor => { editor.scrollTop = 0; }")
    open_tab(page, "Paths")
    settled(page)
    assert page.locator("#text").evaluate("editor => editor.scrollTop") == 0, "the editor is not filled anew"
    page.reload()
    settled(page)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    shoot(page, "hostile-text-360")


WORDS = "\u202e<img src=x onerror=document.title='taken'>" + "x" * 5000


@pytest.mark.noted("the server responded with a status of 400")
@pytest.mark.parametrize("field", [None, "text", "temperature"])
def test_a_hostile_refusal_stays_a_short_line_of_text(page: Page, field: str | None) -> None:
    refusal = {"error": WORDS, "code": "invalid_argument", **({"field": field} if field else {})}
    intercept(page, "**/api/next-token", lambda route: route.fulfill(status=400, json=refusal))
    page.locator("#text").fill("Tom")
    trouble = page.locator({None: ".chart-trouble p", "text": "#text-trouble"}.get(field, f"#{field}-trouble"))
    expect(trouble).to_contain_text("<img src=x")
    assert len(trouble.inner_text()) <= 500
    assert "\u202e" not in trouble.inner_text(), "what follows reads in its own direction"
    expect(rows(page).first).to_be_in_viewport(ratio=1)
    assert page.title() == "Next-Token Visualizer"


def test_a_hostile_list_of_models_injects_nothing_and_the_page_goes_on(page: Page) -> None:
    models = page.request.get(f"{page.url}api/models").json()["models"]
    named = [
        {**models[0], "name": f"{WORDS}{at}", "state": "FAILED", "reason": WORDS, "facts": None} for at in range(3)
    ]
    hostile = {"models": [{**named[0], "is_default": True}, *models, *named[1:]]}
    intercept(page, "**/api/models/events", lambda route: None)  # the list fetched beside the stream is all there is
    intercept(page, "**/api/models", lambda route: route.fulfill(json=hostile))
    page.reload()
    status = page.locator("#status")
    expect(status).to_contain_text("can’t be used. <img src=x")
    assert "\u202e" not in status.inner_text()
    page.locator(".models-open").click()
    expect(page.locator(".models-list li")).to_have_count(len(models) + 3)
    assert page.locator("img").count() == 0
    assert page.title() == "Next-Token Visualizer"
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    shoot(page, "hostile-models-1440")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("candidates", lambda answer: {**answer, "candidates": None}),
        (
            "candidates[0].probability",
            lambda answer: {**answer, "candidates": [{**answer["candidates"][0], "probability": None}]},
        ),
        ("prompt", lambda answer: {key: value for key, value in answer.items() if key != "prompt"}),
        ("entropy_bits", lambda answer: {**answer, "entropy_bits": float("nan")}),
        ("", lambda answer: "not an answer"),
    ],
)
def test_an_answer_that_is_none_is_said_in_words_and_asked_again_on_request(page: Page, name: str, change: Any) -> None:
    spoiled(page, change)
    rows(page).first.click()
    trouble = page.locator(".chart-trouble")
    expect(trouble).to_contain_text("The server’s answer can’t be read")
    if name != "entropy_bits":  # NaN is no JSON: the whole answer is unreadable
        expect(trouble).to_contain_text(name)
    expect(rows(page)).to_have_count(10)
    page.unroute("**/api/next-token")
    trouble.get_by_role("button", name="Try again").click()
    settled(page)
    expect(trouble).to_be_hidden()


def test_half_characters_are_bytes_until_they_are_whole(page: Page) -> None:
    halves = [b"\xe2\x9c", b"\x93"]
    spoiled(
        page, lambda answer: {**answer, "candidates": [token(7 + at, half, at + 1) for at, half in enumerate(halves)]}
    )
    write(page, "Done")
    expect(rows(page).first.locator(".byte")).to_have_count(2)
    rows(page).first.click()
    settled(page)
    expect(page.locator("#prompt .token .byte")).to_have_count(2)
    expect(page.locator(".prompt-note")).to_be_hidden()  # nothing was removed
    expect(rows(page).nth(1).locator(".completes")).to_have_text("✓")
    expect(page.locator("#text")).to_have_value("Done")
    shoot(page, "half-character-1440")
    rows(page).nth(1).click()
    settled(page)
    expect(page.locator("#prompt .token[data-part='1']")).to_have_text("✓")  # the character stands on its first token
    expect(page.locator("#prompt .token[data-part='2'] .byte")).to_have_attribute("data-glyph", "93")
    expect(page.locator("#prompt .token .byte")).to_have_count(1)
    expect(page.locator("#text")).to_have_value("Done✓")
    expect(page.locator(".prompt-note")).to_be_hidden()
