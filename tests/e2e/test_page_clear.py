"""What is happening now is always said, and quick hands stay in order."""

import itertools
import re
from typing import Any

import pytest
from pages import body, click_bar, intercept, open_tab, rows, settled, shoot, write
from playwright.sync_api import Page, Route, expect

TEXT = "Tom and his dog went to the"


def test_an_answer_that_takes_time_is_said_to(page: Page) -> None:
    held: list[Route] = []
    intercept(page, "**/api/next-token", lambda route: held.append(route), times=1)
    rows(page).first.click()
    status = page.locator("#status")
    expect(status).to_contain_text("The demo model is thinking…")
    expect(status).to_have_attribute("data-tone", "busy")
    shoot(page, "thinking-1440")
    expect(status).to_contain_text("is still thinking")
    held[0].continue_()
    settled(page)
    expect(status).to_have_attribute("data-silent", "")
    expect(status).not_to_contain_text("thinking")
    expect(status).to_have_attribute("data-tone", "calm")


def test_a_text_left_before_its_answer_is_told_of_and_is_a_step_of_its_own(page: Page) -> None:
    held: list[Route] = []
    intercept(page, "**/api/next-token", lambda route: held.append(route), times=1)
    with page.expect_request("**/api/next-token"):
        page.locator("#text").fill(TEXT)
    page.keyboard.press("Escape")
    expect(rows(page).first).to_be_focused()
    held[0].continue_()
    settled(page)
    expect(page.locator("#announcer")).to_contain_text("After space the: most likely ")
    write(page, "Another text")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#text")).to_have_value(TEXT)


def test_keys_within_a_composition_belong_to_the_input_method(page: Page) -> None:
    write(page, TEXT)
    press = "(at, key) => at.dispatchEvent(new KeyboardEvent('keydown', { key, isComposing: true, bubbles: true }))"
    page.locator("#text").focus()
    page.locator("#text").evaluate(press, "Escape")
    expect(page.locator("#text")).to_be_focused()
    open_tab(page, "Paths")
    page.locator("#paths").get_by_role("button", name="Name").first.click()
    field = page.locator("#paths input:visible")
    field.fill("に")
    field.evaluate(press, "Enter")
    expect(field).to_be_focused()
    field.press("Enter")
    expect(page.locator("#paths")).to_contain_text("に")


@pytest.mark.noted("net::ERR_")
def test_without_a_network_it_says_offline_and_goes_on_by_itself(page: Page) -> None:
    write(page, TEXT)
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")  # a machine without a network tells its browser nothing new
    status = page.locator("#status[data-tone=bad]")
    expect(status).to_contain_text("This device is offline. Reconnecting; your text is safe.")
    rows(page).first.click()
    expect(page.locator("#text")).not_to_have_value(TEXT)
    text = page.locator("#text").input_value()
    assert text.startswith(TEXT)
    shoot(page, "offline-1440")
    page.context.set_offline(False)
    settled(page)
    expect(page.locator("#status")).to_have_attribute("data-tone", "calm")
    expect(page.locator("#text")).to_have_value(text)


@pytest.mark.noted("the server responded with a status of 429")
def test_a_server_that_is_full_is_asked_again_by_itself(page: Page) -> None:
    refusal = {"error": "Too much is waiting; try again in a second.", "code": "resource_exhausted"}
    intercept(
        page,
        "**/api/next-token",
        lambda route: route.fulfill(status=429, json=refusal, headers={"retry-after": "1"}),
        times=2,
    )
    rows(page).first.click()
    trouble = page.locator(".chart-trouble")
    expect(trouble).to_contain_text("Too much is waiting; try again in a second. The page will try again by itself.")
    settled(page)
    expect(trouble).to_be_hidden()


def test_five_clicks_a_second_stay_in_order_whatever_the_server_does(page: Page) -> None:
    """Answers come late and unevenly; each pick is asked with all the ids before it, and none is lost or doubled."""
    write(page, TEXT)
    start = page.locator("#prompt .token").count()
    asked: list[list[int]] = []

    def note(request: Any) -> None:
        if request.url.endswith("/api/next-token"):
            asked.append(body(request)["token_ids"])

    page.on("request", note)
    page.evaluate(
        """() => {
          const real = window.fetch;
          let turn = 0;
          window.fetch = async (...call) => {
            const wait = [0, 150, 40, 320, 5][turn++ % 5];
            const reply = await real(...call);
            await new Promise((done) => setTimeout(done, wait));
            return reply;
          };
        }"""
    )
    picked = page.evaluate(
        """async () => {
          const picked = [];
          for (let click = 0; click < 15; click++) {
            const row = document.querySelectorAll("#chart .row")[click % 3];
            const before = document.querySelector("#text").value;
            row.click();
            for (const frame of [1, 2, 3]) await new Promise(requestAnimationFrame);
            const after = document.querySelector("#text").value;
            if (after !== before) picked.push(after.slice(before.length));
            await new Promise((done) => setTimeout(done, 200));
          }
          return picked;
        }"""
    )
    settled(page)
    assert len(picked) >= 5
    expect(page.locator("#text")).to_have_value(TEXT + "".join(picked))
    expect(page.locator("#prompt .token")).to_have_count(start + len(picked))
    assert [len(ids) for ids in asked] == [start + 1 + at for at in range(len(picked))]
    for before, after in itertools.pairwise(asked):
        assert after[: len(before)] == before
    spelled = page.locator("#prompt .token").evaluate_all("all => all.slice(1).map(each => each.textContent).join('')")
    assert spelled == TEXT + "".join(picked)


def test_undo_redo_and_looking_in_quick_turns_end_where_they_should(page: Page) -> None:
    write(page, TEXT)
    for index in (0, 1, 2):
        click_bar(page, index)
    text = page.locator("#text").input_value()
    page.evaluate(
        """async () => {
          const real = window.fetch;
          window.fetch = async (...call) => {
            const reply = await real(...call);
            await new Promise((done) => setTimeout(done, 80));
            return reply;
          };
          const press = async (selector, at = 0) => {
            document.querySelectorAll(`#prompt ${selector}`)[at].click();
            for (const frame of [1, 2, 3]) await new Promise(requestAnimationFrame);
          };
          for (let turn = 0; turn < 12; turn++) {
            await press(".token", 2 + (turn % 5));
            await press("[data-verb=undo]");
            await press(".token", 3);
            await press("[data-verb=redo]");
          }
        }"""
    )
    settled(page)
    expect(page.locator("#text")).to_have_value(text)
    expect(page.locator(".look")).to_be_hidden()
    expect(page.locator("#chart .chart-trouble")).to_be_hidden()
    assert re.fullmatch(r"\d+ tokens of \d+", page.locator(".prompt-count").inner_text())
