"""“How likely is …?”: any token or text gets its probability and true rank."""

import json
import math
import re
from typing import Any

import pytest
from pages import OpenPage, Stack, body, click_bar, intercept, number, open_tab, redrawn, settled, shoot, write
from playwright.sync_api import Locator, Page, Route, expect

TEXT = "The little girl was very"


@pytest.fixture
def page(page: Page) -> Page:
    write(page, TEXT)
    open_tab(page, "Numbers")
    return page


def look_up(page: Page, text: str, count: int) -> Locator:
    """Types a text into the field and waits for all numbers."""
    page.locator("#likely-text").fill(text)
    redrawn(page)
    lines = page.locator(".chances li")
    expect(lines).to_have_count(count)
    expect(page.locator(".chances [data-waiting]")).to_have_count(0)
    return lines


def ask(page: Page, path: str, **question: Any) -> dict[str, Any]:
    """What the server itself says."""
    response = page.request.post(f"{page.url}api/{path}", data={"model": "bundled", **question})
    assert response.ok, response.text()
    return dict(response.json())


def ids(page: Page) -> list[int]:
    tokens = ask(page, "next-token", text=TEXT, include_prompt_tokens=True)["prompt"]["tokens"]
    return [token["token_id"] for token in tokens]


def percent(line: Locator) -> float:
    return number(line.locator(".percent").inner_text())


def read(line: Locator) -> list[int]:
    """The ids of the tokens a line looks up."""
    titles = line.locator(".token").evaluate_all("tokens => tokens.map(each => each.title)")
    return [int(title.removeprefix("id ")) for title in titles]


def test_one_token_has_the_servers_probability_and_rank(page: Page) -> None:
    plain, blank = (look_up(page, "happy", 2).nth(at) for at in (0, 1))
    (token,) = read(blank)
    (told,) = ask(page, "next-token", token_ids=ids(page), watch_token_ids=[token])["watched"]
    assert told["text"] == " happy"
    assert percent(blank) == pytest.approx(100 * told["probability"], rel=0.06)
    expect(blank.locator(".chance-words")).to_contain_text(f"rank {told['rank']:,} of ")
    assert blank.locator(".pieces").text_content() == " happy"
    assert plain.locator(".pieces").all_text_contents() != [" happy"], "without the blank it is another token"


def test_a_token_far_outside_the_bars_has_its_true_rank(page: Page) -> None:
    line = look_up(page, "!", 2).first
    (token,) = read(line)
    answer = ask(page, "next-token", token_ids=ids(page), watch_token_ids=[token], top_k=1000)
    (told,) = answer["watched"]
    assert told["rank"] > 50
    expect(line.locator(".chance-words")).to_have_text(f"rank {told['rank']:,} of {answer['vocab_size']:,}")
    assert percent(line) == pytest.approx(100 * told["probability"], rel=0.06)


def test_several_tokens_agree_with_score(page: Page) -> None:
    line = look_up(page, " happy to see the dog", 2).first
    tokens = read(line)
    assert len(tokens) >= 5
    prompt = ids(page)
    scored = ask(page, "score", token_ids=[*prompt, *tokens])["tokens"][len(prompt) :]
    total = math.prod(token["probability"] for token in scored)
    assert percent(line) == pytest.approx(100 * total, rel=0.5), "one digit of so small a number is shown"
    words = line.locator(".chance-words").inner_text()
    assert words.startswith(f"{len(tokens)} tokens: ")
    shown = [number(each.split(" (")[0]) for each in words.split(": ")[1].split(" × ")]
    assert shown == pytest.approx([100 * token["probability"] for token in scored], rel=0.06)
    for token in scored:
        assert f"(rank {token['rank']:,})" in words


def test_after_a_step_and_at_another_temperature_it_is_looked_up_anew(page: Page) -> None:
    look_up(page, "happy", 2)
    click_bar(page, 3)
    expect(page.locator(".chances [data-waiting]")).to_have_count(0)
    line = page.locator(".chances li").nth(1)
    (token,) = read(line)
    settled(page)
    page.locator("#temperature").fill("0.5")
    settled(page)
    text = page.locator("#text").input_value()
    (told,) = ask(page, "next-token", text=text, watch_token_ids=[token], temperature=0.5)["watched"]
    assert percent(line) == pytest.approx(100 * told["probability"], rel=0.06)
    page.get_by_role("spinbutton", name="Temperature as a number").fill("20")
    settled(page)
    expect(page.locator(".chances [data-waiting]")).to_have_count(0)
    (told,) = ask(page, "next-token", text=text, watch_token_ids=[token], temperature=20)["watched"]
    assert percent(line) == pytest.approx(100 * told["probability"], rel=0.06)


def test_line_breaks_and_special_tokens_can_be_asked_for(page: Page) -> None:
    line = look_up(page, "\\n", 2).first
    assert line.locator(".pieces").text_content() == "\n"
    special = look_up(page, "<|endoftext|>", 2).first
    expect(special.locator(".token.special")).to_have_count(1)
    expect(special.locator(".chance-words")).to_contain_text("rank ")


def test_a_token_under_the_cut_says_so(page: Page) -> None:
    look_up(page, "!", 2)
    open_tab(page, "Settings")
    page.get_by_role("spinbutton", name="Top-p as a number").fill("0.5")
    settled(page)
    open_tab(page, "Numbers")
    words = re.compile(r"rank [\d,]+ of [\d,]+\. Removed by the sampling filters: it can’t be drawn\.$")
    expect(page.locator(".chances .chance-words").first).to_have_text(words)


def test_it_is_remembered_and_looked_up_again_after_a_reload(page: Page) -> None:
    shares = [percent(line) for line in look_up(page, "happy", 2).all()]
    page.reload()
    settled(page)
    expect(page.locator("#likely-text")).to_have_value("happy")
    expect(page.locator(".chances .percent").first).not_to_have_text("…")
    expect(page.locator(".chances [data-waiting]")).to_have_count(0)
    assert [percent(line) for line in page.locator(".chances li").all()] == shares


@pytest.mark.noted("the server responded with")
def test_a_refusal_stands_beside_the_field_and_goes_with_the_next_letter(page: Page) -> None:
    def refuse(route: Route) -> None:
        if body(route.request).get("watch_token_ids"):
            route.fulfill(
                status=400,
                json={
                    "error": "watch_token_ids: no such token",
                    "code": "invalid_argument",
                    "field": "watch_token_ids",
                },
            )
        else:
            route.continue_()

    intercept(page, "**/api/next-token", refuse)
    page.locator("#likely-text").fill("happy")
    trouble = page.locator("#likely-trouble")
    expect(trouble).to_have_text("No such token")
    expect(page.locator("#chart .chart-trouble")).to_be_hidden()
    page.unroute("**/api/next-token")
    look_up(page, "happy!", 2)
    expect(trouble).to_be_hidden()


@pytest.mark.parametrize(
    "watched", [None, [], [{"token_id": 1}], [{"rank": "first"}], [{"probability": 7}], [{"bytes": 5}]], ids=json.dumps
)
def test_what_is_no_answer_is_said_in_words(page: Page, watched: Any) -> None:
    def spoil(route: Route) -> None:
        answer = page.request.post(route.request.url, data=route.request.post_data_json).json()
        if answer["watched"]:
            good = answer["watched"]
            answer["watched"] = watched and [{**good[0], **watched[0]}, *good[1:]]
        route.fulfill(json=answer)

    intercept(page, "**/api/next-token", spoil)
    page.locator("#likely-text").fill("happy")
    expect(page.locator("#likely-trouble")).to_contain_text("The server’s answer can’t be read: watched")
    expect(page.locator("#chart .row")).to_have_count(10)


def test_a_text_full_of_markup_is_text(page: Page) -> None:
    look_up(page, "<img src=x onerror=document.title='taken'>", 2)
    assert page.title() == "Next-Token Visualizer"
    assert page.locator(".chances img").count() == 0
    look_up(page, "\u202egnp.exe", 2)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900)])
def test_it_fits(open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    write(page, TEXT)
    open_tab(page, "Numbers")
    look_up(page, "happy to see the dog", 2)
    page.locator(".chances").scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    shoot(page, f"likely-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_sampler_steps_count_and_say_what_they_remove(page: Page) -> None:
    open_tab(page, "Settings")
    page.locator("#samplers summary").click()
    page.get_by_label("Top-k", exact=True).check()
    page.get_by_label("Top-k: k").fill("2")
    settled(page)
    kept = number(page.locator("#chart .percent:visible").first.inner_text())
    first = page.locator("#chart .row .pieces").first.text_content() or ""
    open_tab(page, "Numbers")
    top = look_up(page, first, 2).first
    assert percent(top) == pytest.approx(kept, rel=0.01)
    expect(top.locator(".chance-words")).to_contain_text(re.compile(r"rank 1 of .* Before all sampler steps .+\d.%"))
    gone = look_up(page, " purple", 2).first
    assert percent(gone) == 0
    expect(gone.locator(".chance-words")).to_contain_text(
        "Removed by top-k: it can’t be drawn. Before all sampler steps"
    )
