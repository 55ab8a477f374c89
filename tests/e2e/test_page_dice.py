"""The next step without picking a bar: the most likely token, the dice, a hundred rolls, writing on."""

import json
import re

import pytest
from pages import OpenPage, Stack, answered, body, generating, intercept, rows, settled, shoot, write
from playwright.sync_api import Locator, Page, Route, expect

TEXT = "The little girl was very"


@pytest.fixture
def page(page: Page) -> Page:
    write(page, TEXT)
    page.keyboard.press("Escape")
    return page


def button(page: Page, name: str) -> Locator:
    return page.locator("#controls").get_by_role("button", name=name)


def tokens(page: Page) -> int:
    return page.locator("#prompt .token:not(.onward)").count()


def test_the_most_likely_token_is_the_first_bar(page: Page) -> None:
    first = rows(page).first.locator(".token").text_content()
    button(page, "Most likely").click()
    expect(page.locator("#text")).to_have_value(f"{TEXT}{first}")


def test_a_roll_shows_where_the_dart_fell_and_then_appends_what_the_server_drew(page: Page) -> None:
    with page.expect_response(answered) as response:
        button(page, "Roll the dice").click()
    asked, answer = body(response.value.request), response.value.json()
    assert len(asked["draws"]) == 1
    (drawn,) = answer["drawn"]
    expect(page.locator("#chart [data-dart], #chart .others[data-dart]")).to_have_count(1)
    expect(page.locator(".said")).to_contain_text(f"rank {drawn['rank']:,}")
    shoot(page, "dart-1440")
    expect(page.locator("#text")).to_have_value(f"{TEXT}{drawn['text']}")
    settled(page)
    page.keyboard.press("Control+Z")
    expect(page.locator("#text")).to_have_value(TEXT)


def test_a_dart_among_the_others_names_its_token(page: Page) -> None:
    def force(route: Route) -> None:
        asked = body(route.request)
        if asked.get("draws"):
            asked["draws"] = [0.985]
        answer = route.fetch(post_data=json.dumps(asked))
        route.fulfill(response=answer)

    page.locator("#top-k").fill("3")
    settled(page)
    intercept(page, "**/api/next-token", force)
    with page.expect_response(answered) as response:
        button(page, "Roll the dice").click()
    (drawn,) = response.value.json()["drawn"]
    assert drawn["rank"] > 3
    expect(page.locator("#chart .others[data-dart]")).to_be_visible()
    expect(page.locator("#chart .others .dart-token")).to_contain_text(drawn["text"].strip())
    shoot(page, "dart-among-others-1440")
    expect(page.locator("#text")).to_have_value(f"{TEXT}{drawn['text']}")
    settled(page)  # no call is under way when the page closes


def test_a_hundred_rolls_lie_over_the_bars_and_repeat_with_their_seed(page: Page) -> None:
    button(page, "More settings").click()
    page.get_by_role("spinbutton", name="Seed").fill("1234")
    expect(page.get_by_role("checkbox", name="New seed each roll")).not_to_be_checked()
    counts = page.locator("#chart .count-words")

    def roll() -> list[str]:
        page.get_by_role("button", name="Roll 100 times").click()
        settled(page)
        expect(counts.first).to_have_text(re.compile(r"\d"))
        return list(counts.all_inner_texts())

    first = roll()
    assert sum(int(each.removesuffix("×")) for each in first) == 100
    expect(page.locator(".said")).to_contain_text("100 rolls with seed 1234")
    shoot(page, "hundred-rolls-1440")
    assert roll() == first
    page.get_by_role("checkbox", name="New seed each roll").check()
    assert roll() != first
    expect(page.locator("#text")).to_have_value(TEXT)


def test_writing_on_goes_step_by_step_until_any_key_but_shift_and_is_undone_as_one(page: Page) -> None:
    button(page, "More settings").click()
    page.locator("#pace").fill("20")
    page.locator("#pace").blur()
    count = tokens(page)
    page.keyboard.press("w")
    expect(button(page, "Stop")).to_be_visible()
    page.wait_for_function("count => document.querySelectorAll('#prompt .token').length >= count + 4", arg=count)
    shoot(page, "writing-1440")
    page.keyboard.press("Shift")
    expect(button(page, "Stop")).to_be_visible()
    page.wait_for_function("count => document.querySelectorAll('#prompt .token').length >= count", arg=tokens(page) + 1)
    page.keyboard.press("Escape")
    expect(page.locator(".said")).to_have_text(re.compile(r"^Stopped after \d+ tokens\.$"))
    expect(page.locator("#announcer")).to_contain_text("Stopped after")
    settled(page)
    written = tokens(page)
    page.wait_for_timeout(300)
    assert tokens(page) == written
    text = page.locator("#text").input_value()
    page.keyboard.press("Control+Z")
    expect(page.locator("#text")).to_have_value(TEXT)
    page.keyboard.press("Control+Shift+Z")
    expect(page.locator("#text")).to_have_value(text)


def test_the_button_and_w_stop_what_they_began(page: Page) -> None:
    write_on = button(page, "Generate")
    write_on.click()
    button(page, "Stop").click()
    expect(write_on).to_be_visible()
    page.keyboard.press("w")
    expect(button(page, "Stop")).to_be_visible()
    page.keyboard.press("w")
    expect(write_on).to_be_visible()
    expect(page.locator(".said")).to_contain_text("Stopped")


@pytest.mark.noted("the server responded with a status of 500")
def test_writing_on_stops_at_an_error_in_words(page: Page) -> None:
    wrong = json.dumps({"error": "The model stumbled.", "code": "internal"})
    for path in ("generate", "next-token"):  # a stream that breaks off is asked for token by token
        intercept(
            page, f"**/api/{path}", lambda route: route.fulfill(status=500, content_type="application/json", body=wrong)
        )
    page.keyboard.press("w")
    expect(page.locator(".chart-trouble")).to_contain_text("The model stumbled.")
    expect(button(page, "Generate")).to_be_visible()
    expect(page.locator("#text")).to_have_value(TEXT)


def test_writing_on_ends_where_the_text_ends(page: Page) -> None:
    generating(page, (0, "<|endoftext|>"))
    page.keyboard.press("w")
    expect(page.locator(".said")).to_contain_text("The text has ended")
    expect(page.locator(".said")).to_contain_text("1 token generated.")
    expect(button(page, "Generate")).to_be_visible()


def test_by_keyboard_and_without_motion(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(stack.url, reduced_motion="reduce")
    write(page, TEXT)
    page.keyboard.press("Escape")
    count = tokens(page)
    for key in ("m", "r"):
        settled(page)
        page.keyboard.press(key)
        count += 1
        expect(page.locator("#prompt .token:not(.onward)")).to_have_count(count)
    page.keyboard.press("?")
    for words in ("append the most likely token", "roll the dice", "generate; any key stops it"):
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text(words)


def test_the_actions_stay_on_a_phone(open_page: OpenPage, stack: Stack) -> None:
    for width in (320, 360):
        page = open_page(stack.url, viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True)
        settled(page)
        boxes = [button(page, name).bounding_box() for name in ("Roll the dice", "Generate", "More settings")]
        assert all(box and box["x"] + box["width"] <= width and box["y"] + box["height"] <= 740 for box in boxes)
        assert len({box["y"] for box in boxes if box}) == 1, "one row"
        bar = rows(page).nth(4).bounding_box()
        controls = page.locator("#controls").bounding_box()
        assert bar
        assert controls
        assert bar["y"] + bar["height"] <= controls["y"]
