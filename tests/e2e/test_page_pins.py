"""Distributions pinned and compared, bar by bar and in words, with other settings, texts and models."""

import re
from pathlib import Path
from typing import Any

import pytest
from pages import OpenPage, Stack, click_bar, number, percents, rows, settled, shoot, write
from playwright.sync_api import Page, expect

TEXT = "The little girl was very"
LAST_TWO = """text => [2, 1].map(back => {
    const [range, words] = [new Range(), text.firstChild];
    range.setStart(words, words.length - back);
    range.setEnd(words, words.length - back + 1);
    return range.getBoundingClientRect().left;
})"""


@pytest.fixture
def page(page: Page) -> Page:
    write(page, TEXT)
    return page


def pin(page: Page) -> None:
    settled(page)
    page.get_by_role("button", name="Pin", exact=True).click()
    settled(page)


def deltas(page: Page) -> list[str]:
    return page.locator("#chart .row .delta").all_inner_texts()


def strips(page: Page, name: str) -> list[float]:
    """The shares a pin's strips stand for, row by row."""
    read = "strips => strips.map(strip => Number(strip.style.getPropertyValue('--share')))"
    return list(page.locator(f"#chart .row .strip[data-name={name}]").evaluate_all(read))


def distribution(page: Page, **question: Any) -> dict[int, float]:
    """Every token's probability, by the server."""
    asked = {"model": "bundled", "text": TEXT, "top_k": 1000, **question}
    response = page.request.post(f"{page.url}api/next-token", data=asked)
    return {each["token_id"]: each["probability"] for each in response.json()["candidates"]}


def test_a_pin_shows_beside_every_bar_what_was_there(page: Page) -> None:
    before = percents(page)[:-1]
    pin(page)
    assert strips(page, "A") == pytest.approx([share / 100 for share in before], abs=0.0006)
    assert deltas(page) == ["±0"] * 10
    expect(page.locator(".pins-words")).to_contain_text("Same as A")
    page.locator("#temperature").fill("0.5")
    settled(page)
    after = percents(page)[:-1]
    assert [float(each.replace("−", "-").replace("±", "").replace("≈", "")) for each in deltas(page)] == pytest.approx(
        [now - then for now, then in zip(after, before, strict=True)], abs=0.11
    )
    expect(rows(page).first).to_have_attribute("aria-label", re.compile(rf"{before[0]}.% in A"))


def test_the_difference_in_words_is_the_total_variation(page: Page) -> None:
    pin(page)
    page.locator("#temperature").fill("0.4")
    settled(page)
    was, now = distribution(page), distribution(page, temperature=0.4)
    gains = {token: now.get(token, 0) - was.get(token, 0) for token in was.keys() | now.keys()}
    variation = sum(max(0.0, gain) for gain in gains.values())
    words = page.locator(".pins-words").inner_text()
    assert words.startswith("Differs from A by at least ")
    said = number(words.removeprefix("Differs from A by at least ").split(" points")[0])
    assert said <= 100 * variation + 0.1
    assert said == pytest.approx(100 * variation, abs=2), "200 tokens tell nearly all"
    rose, fell = re.findall(r"\(([+−][\d.]+)\)", words)
    assert float(rose) == pytest.approx(100 * max(gains.values()), abs=0.06)
    assert float(fell.replace("−", "-")) == pytest.approx(100 * min(gains.values()), abs=0.06)
    assert "lower" in words


def test_pins_survive_new_answers_and_a_reload_and_are_taken_off(page: Page) -> None:
    pin(page)
    page.locator("#temperature").fill("0.5")
    pin(page)
    click_bar(page, 0)
    chips = page.locator("#pins li")
    expect(chips).to_have_count(2)
    expect(chips.nth(1)).to_contain_text("T 0.5")
    words = page.locator(".pins-words").inner_text()
    page.reload()
    settled(page)
    expect(chips).to_have_count(2)
    expect(page.locator(".pins-words")).to_have_text(words)
    chips.first.get_by_role("button", name="A ").first.click()
    expect(page.locator(".pins-words")).to_contain_text("from A")
    page.get_by_role("button", name="Unpin A").click()
    expect(chips).to_have_count(1)
    expect(page.locator(".pins-words")).to_contain_text("from B")
    page.get_by_role("button", name="Unpin B").click()
    expect(page.locator("#chart .strip")).to_have_count(0)
    assert all(not each for each in deltas(page))
    back = page.locator("#chart").get_by_role("button", name="Undo")
    expect(back).to_be_focused()
    back.click()
    expect(page.locator(".pins-words")).to_contain_text("from B")
    expect(page.get_by_role("button", name="Pin", exact=True)).to_be_focused()
    page.get_by_role("button", name="Unpin B").click()
    click_bar(page, 0)
    expect(page.locator("#pins")).to_be_hidden()


def test_three_are_the_most(page: Page) -> None:
    for temperature in ("0.5", "1", "1.5"):
        page.locator("#temperature").fill(temperature)
        pin(page)
    button = page.get_by_role("button", name="Pin", exact=True)
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("title", "3 are pinned; unpin one first")
    assert [len(strips(page, name)) for name in "ABC"] == [10, 10, 10]
    page.get_by_role("button", name="Unpin B").click()
    expect(button).to_be_enabled()


def test_another_model_is_compared_by_what_its_tokens_spell(page: Page, second_model: Path) -> None:
    pin(page)
    page.locator(".models-open").click()
    page.locator(".models-list").get_by_role("button", name=second_model.name).click()
    settled(page)
    expect(page.locator("#pins li")).to_contain_text("Demo model")
    assert deltas(page) == ["±0"] * 10, "the second model is the first under another name"
    expect(page.locator(".pins-words")).to_contain_text("Same as A")


def test_a_cut_moves_probability_too(page: Page) -> None:
    pin(page)
    page.get_by_role("button", name="More settings").click()
    page.get_by_role("spinbutton", name="Top-p as a number").fill("0.5")
    settled(page)
    kept = page.locator("#chart li:not([data-fell]) .row").count()
    assert 0 < kept < 10
    assert [each[0] for each in deltas(page)] == ["+"] * kept + ["−"] * (10 - kept)


def test_spoiled_memory_is_left_aside(page: Page) -> None:
    pin(page)
    page.evaluate("""() => addEventListener("pagehide", () => {
      const key = Object.keys(localStorage).find((name) => name.includes("next-token"));
      const kept = JSON.parse(localStorage.getItem(key));
      kept.pins.push({ ...kept.pins[0], name: "<img src=x onerror=document.title='taken'>" }, { name: "B" }, 7);
      localStorage.setItem(key, JSON.stringify(kept));
    })""")
    page.reload()
    settled(page)
    expect(page.locator("#pins li")).to_have_count(1)
    assert page.title() == "Next-Token Visualizer"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900)])
def test_three_pins_fit(open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    write(page, f"{TEXT} happy.")
    for temperature in ("0.5", "1", "1.5"):
        page.locator("#temperature").fill(temperature)
        pin(page)
    letter, stop = page.locator(".pin-text").first.evaluate(LAST_TWO)
    assert stop > letter, "a text cut from the left still reads to the right"
    click_bar(page, 1)
    page.evaluate("scrollTo(0, 0)")
    shoot(page, f"pins-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") == width
