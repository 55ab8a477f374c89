"""The main job: type, see bars, click, take back, change a setting; and nothing is lost by a reload."""

import re
from typing import Any

import pytest
from pages import answered, body, click_bar, intercept, percents, rows, settled, shoot, write
from playwright.sync_api import Page, expect

LEAVE = """() => {
  const kept = () => JSON.parse(sessionStorage.getItem("next-token-visualizer"));
  dispatchEvent(new Event("pagehide"));
  const before = kept();
  document.querySelector("#chart .row").click();
  document.dispatchEvent(new Event("visibilitychange"));
  return [before, kept()];
}"""


# Marks every bar with its token, and tells of those that were marked as another one.
MARK = """() => [...document.querySelectorAll("#chart .row")].map((row) => {
  const before = row.dataset.before ?? null;
  row.dataset.before = row.querySelector(".token").textContent;
  return [before, row.dataset.before, row.querySelector(".value").textContent, row.ariaLabel, row.title];
})"""


def facts(page: Page) -> dict[str, Any]:
    """What the server says of the model that answers."""
    return dict(page.request.get(f"{page.url}api/models").json()["models"][0]["facts"])


def test_first_visit_shows_bars_of_a_text(page: Page) -> None:
    expect(page.locator("#text")).to_have_value("Once upon a time")
    expect(rows(page)).to_have_count(10)
    shares = percents(page)
    assert shares[:10] == sorted(shares[:10], reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.5)
    expect(page.locator(".others-name")).to_have_text(f"{facts(page)['vocab_size'] - 10:,} others")
    expect(page.locator("#status .status-words")).to_have_text("")
    expect(page.locator(".prompt-count")).to_have_text(re.compile(f"tokens of {facts(page)['context_limit']:,}$"))


def test_typing_is_sent_as_text_and_shown_as_tokens(page: Page) -> None:
    with page.expect_request("**/api/next-token") as asked:
        page.locator("#text").fill("The little girl was very")
    assert body(asked.value)["text"] == "The little girl was very"
    settled(page)
    names = page.locator("#prompt .token").evaluate_all("all => all.map(each => each.textContent)")
    assert names[0] == "<|endoftext|>"
    assert "".join(names[1:]) == "The little girl was very"


def test_a_bar_that_becomes_another_token_s_keeps_nothing_of_the_former(page: Page) -> None:
    write(page, "Once upon a time")
    for index in range(10):
        rows(page).nth(index).hover()  # sets its tooltip
    page.evaluate(MARK)
    page.keyboard.press("3")
    settled(page)
    bars = page.evaluate(MARK)
    became = [each for each in bars if each[0] is not None and each[0] != each[1]]
    assert became, "rows of tokens that are gone are used again"
    assert any(title for *_, title in became)
    for _, _, share, label, title in bars:
        assert f", {share}, rank" in label
        assert not title or title.startswith(f"{share}\n")


def test_three_clicks_then_undo_then_redo(page: Page) -> None:
    write(page, "Once upon a time")
    texts = [page.locator("#text").input_value()]
    ids: list[list[int]] = []
    pages: set[str] = set()
    for index in (0, 2, 1):
        with page.expect_request("**/api/next-token") as asked:
            rows(page).nth(index).click()
        assert "text" not in body(asked.value), "a click never sends text"
        ids.append(body(asked.value)["token_ids"])
        pages.add(asked.value.headers["x-session"])
        settled(page)
        texts.append(page.locator("#text").input_value())
    assert len(pages) == 1
    assert [len(each) for each in ids] == [6, 7, 8]
    assert ids[2][:7] == ids[1]
    assert ids[1][:6] == ids[0]
    shoot(page, "three-clicks-1440")
    for text in texts[2::-1]:
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#text")).to_have_value(text)
        settled(page)
    expect(page.locator("#prompt .token.onward")).to_have_count(3)
    expect(page.locator("#chart [data-taken]")).to_have_count(1)
    shoot(page, "after-undo-1440")
    for text in texts[1:]:
        page.get_by_role("button", name="Redo").click()
        expect(page.locator("#text")).to_have_value(text)
    expect(page.get_by_role("button", name="Redo")).to_be_disabled()


def test_a_click_joins_the_text_before_the_answer(page: Page) -> None:
    intercept(page, "**/api/next-token", lambda route: None)  # no answer ever comes
    count = page.locator("#prompt .token").count()
    rows(page).first.click()
    expect(page.locator("#prompt .token")).to_have_count(count + 1)
    expect(rows(page)).to_have_count(10)
    expect(page.locator("#chart[data-stale]")).to_be_visible()


def test_temperature_moves_the_bars_and_the_server_confirms(page: Page) -> None:
    cold = percents(page)[0]
    slider = page.get_by_role("slider", name="Temperature")
    with page.expect_response(answered) as confirmed:
        slider.fill("0.5")
    assert body(confirmed.value.request)["temperature"] == 0.5
    settled(page)
    assert percents(page)[0] > cold
    expect(page.locator(".chart-legend")).to_be_visible()
    shoot(page, "temperature-1440")
    page.get_by_role("spinbutton", name="Temperature as a number").fill("0")
    settled(page)
    assert percents(page)[:2] == [100, 0]


def test_a_setting_out_of_range_is_refused_beside_its_control(page: Page) -> None:
    number = page.get_by_role("spinbutton", name="Bars shown, as a number")
    before = percents(page)
    number.fill("1001")
    expect(page.locator("#top-k-trouble")).to_have_text("Bars shown must be a whole number from 1 to 1,000.")
    assert percents(page) == before
    number.fill("3")
    expect(page.locator("#top-k-trouble")).to_be_hidden()
    expect(rows(page)).to_have_count(3)


def test_more_bars_on_request(page: Page) -> None:
    page.get_by_role("slider", name="Bars shown").fill("50")
    expect(rows(page)).to_have_count(50)
    settled(page)
    expect(page.locator(".others-name")).to_have_text(f"{facts(page)['vocab_size'] - 50:,} others")


@pytest.mark.noted("the server responded with a status of 400")
def test_a_prompt_past_the_limit_is_refused_in_words_and_kept(page: Page) -> None:
    text = "Tom and his dog went to the park. " * facts(page)["context_limit"]
    with page.expect_response(lambda response: response.status == 400):
        page.locator("#text").fill(text)
    trouble = page.locator("#text-trouble")
    expect(trouble).to_be_visible()
    expect(trouble).to_contain_text(str(facts(page)["context_limit"]))
    shoot(page, "too-long-1440")
    page.reload()
    expect(page.locator("#text")).to_have_value(text)
    write(page, "Tom and his dog")
    expect(trouble).to_be_hidden()


def test_a_reload_keeps_everything(page: Page) -> None:
    write(page, "Tom and his dog went to the")
    click_bar(page, 1)
    page.get_by_role("slider", name="Temperature").fill("0.7")
    page.get_by_role("slider", name="Bars shown").fill("6")
    settled(page)
    text, shares = page.locator("#text").input_value(), percents(page)
    before, after = page.evaluate(LEAVE)
    assert before["past"] != after["past"], "a page that may be put away at any time has kept what was just done"
    settled(page)
    page.get_by_role("button", name="Undo").click()
    settled(page)
    page.reload()
    settled(page)
    expect(page.locator("#text")).to_have_value(text)
    assert percents(page) == shares
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#text")).to_have_value("Tom and his dog went to the")


def test_an_empty_text_starts_from_the_beginning_of_sequence(page: Page) -> None:
    write(page, "")
    expect(page.locator("#prompt .token.special")).to_have_count(1)
    expect(rows(page)).to_have_count(10)
    click_bar(page, 0)
    expect(page.locator("#prompt .token:not(.onward)")).to_have_count(2)


def test_lines_and_blanks_are_seen_and_not_copied(page: Page) -> None:
    text = "One\n\n\tTwo   three\n"
    write(page, text)
    glyphs = page.locator("#prompt .mark").evaluate_all("all => all.map(each => each.dataset.glyph).join('')")
    assert set("↵⇥·") <= set(glyphs)
    copied = page.locator("#prompt .token:not(.special)").evaluate_all(
        "all => all.map(each => each.textContent).join('')"
    )
    assert copied == text
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("() => getSelection().selectAllChildren(document.querySelector('#tokens'))")
    page.locator("#prompt .token").last.press("Control+C")
    assert page.evaluate("() => navigator.clipboard.readText()") == text
    shoot(page, "blanks-1440")
