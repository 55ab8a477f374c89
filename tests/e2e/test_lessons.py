"""The lessons in docs/lessons, step by step: what they name is on the page, and the page says what they say."""

import re

from pages import click_bar, look_at, open_tab, rows, settled, write
from playwright.sync_api import Page, expect
from servers import ROOT


def lesson(name: str) -> str:
    """A lesson's words on one line."""
    return " ".join((ROOT / "docs" / "lessons" / f"{name}.md").read_text(encoding="utf-8").split())


def percent(page: Page, bar: int) -> str:
    """A bar's percentage, as lessons write it."""
    return str(rows(page).nth(bar).locator(".percent").first.text_content()).replace("\u202f", " ")


def others(page: Page) -> str:
    return str(page.locator("#chart .others .percent").first.text_content()).strip().replace("\u202f", " ")


def bar(page: Page, at: int) -> str:
    """The token at a bar, as lessons write it."""
    token = str(rows(page).nth(at).locator(".token").first.text_content())
    return f"`{token.replace(' ', '·')}`"


def ask(page: Page, text: str) -> None:
    write(page, text)
    page.keyboard.press("Escape")


def warm(page: Page, temperature: str) -> None:
    page.get_by_label("Temperature as a number").fill(temperature)
    page.keyboard.press("Enter")
    settled(page)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def generated(page: Page, seed: str) -> str:
    """What Generate writes first with a seed; it is undone."""
    page.locator("#seed").fill(seed)
    page.keyboard.press("Enter")
    before = page.locator("#prompt .token:not(.onward)").count()
    press(page, "Generate")
    expect(page.locator("#prompt .token:not(.onward)").nth(before + 8)).to_be_visible()
    page.keyboard.press("Escape")
    settled(page)
    text = page.locator("#text").input_value()[:50]
    press(page, "Undo")
    expect(page.locator("#prompt .token:not(.onward)")).to_have_count(before)
    return text


def test_what_a_next_token_is(page: Page) -> None:
    words = lesson("next-token")
    page.locator("#extras-open").click()
    page.locator("#extras").get_by_role("button", name=re.compile("^Guess first")).click()
    page.locator("#text").fill("Once upon a time")
    press(page, "Show the bars V")
    settled(page)
    assert f"The comma has {percent(page, 0)}, {bar(page, 1)} {percent(page, 1)}" in words
    expect(page.locator("#chart")).to_contain_text("about 2 equally likely choices")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    ask(page, "Tom has a cold")
    expect(page.locator("#chart")).to_contain_text("about 130 equally likely choices")
    assert float(percent(page, 0).split()[0]) < 15
    ask(page, "The girl was very curi")
    assert f"with {percent(page, 0)}, is {bar(page, 0)}" in words
    click_bar(page, 0)
    assert f"The next bar, {bar(page, 0)} with {percent(page, 0)}, " in words, [
        (bar(page, at), percent(page, at)) for at in range(5)
    ]
    ask(page, "The girl was very curious")
    expect(page.locator("#prompt .token:not(.onward)").last).to_have_text(" curious")
    ask(page, "I have a ☀")
    assert page.locator("#prompt .token:not(.onward)").count() == 5 + 3
    ask(page, "Once upon a time")
    click_bar(page, 0)
    click_bar(page, 0)
    for _ in range(2):
        press(page, "Undo")
        settled(page)
    assert click_bar(page, 1) == " there"
    look_at(page, 3)
    rows(page).nth(1).click()
    open_tab(page, "Paths")
    expect(page.locator("#paths")).to_contain_text("there")
    ask(page, "The sun is hot. The ice is")
    assert f"{bar(page, 0)} gets {percent(page, 0)}" in words


def test_temperature_and_sampling(page: Page) -> None:
    words = lesson("temperature")
    ask(page, "The boy cried because")
    assert f"{bar(page, 0)} with {percent(page, 0)} and {bar(page, 1)} with {percent(page, 1)}" in words
    open_tab(page, "Settings")
    page.locator("#seed").fill("1")
    page.keyboard.press("Enter")
    press(page, "Roll 100 times")
    expect(page.locator(".said")).to_contain_text("100 rolls with seed 1: 97 landed on these bars, 3 on the others.")
    for at, hits in ((0, 45), (1, 44), (3, 4)):
        assert f"{bar(page, at)} {hits} times" in words
        expect(rows(page).nth(at)).to_contain_text(f"{hits}×")
    for temperature in ("0", "0.5", "1", "2"):
        warm(page, temperature)
        assert [bar(page, at) for at in range(2)] == ["`·it`", "`·he`"]
        assert f"| {temperature} | {percent(page, 0)} | {percent(page, 1)} | {others(page)} |" in words
    page.get_by_label("Top-p as a number").fill("0.5")
    page.keyboard.press("Enter")
    settled(page)
    kept = re.search(r"([\d,]+ of [\d,]+) tokens kept", page.locator("#settings").inner_text())
    assert kept
    assert f"how many: {kept[1]}" in words
    page.get_by_label("Top-p as a number").fill("1")
    page.keyboard.press("Enter")
    warm(page, "0")
    page.locator("#pace").fill("20")
    assert generated(page, "1") == generated(page, "2")


def test_why_did_it_say_that(page: Page) -> None:
    words = lesson("why")
    ask(page, "Tom was hungry so he ate an")
    assert f"{bar(page, 0)} leads with {percent(page, 0)}" in words
    ask(page, "Tom was hungry so he ate a")
    assert f"{bar(page, 0)} leads with {percent(page, 0)}, and `·apple` is gone" in words
    assert "`·apple`" not in [bar(page, at) for at in range(10)]
    ask(page, "Tom was so he ate an")
    assert bar(page, 0) == "`·apple`"
    ask(page, "Tom was hungry so he ate an")
    open_tab(page, "Why")
    expect(page.locator(".why-said")).to_have_text(re.compile(r"^All \d+ parts measured\.$"))
    told = page.locator(".why-strongest li").all_inner_texts()
    for part, line in zip(("an", "ate", "hungry"), told, strict=True):
        (times,) = re.findall(r"([\d.,]+) times less likely", line)
        assert re.search(rf"`·{part}`( makes `·apple`)? {re.escape(times)} times", words), line
    assert f"**Answer:** {told[0].split('→')[1].strip(' .').replace(chr(0x202F), ' ')}. It was 28.9 %." in words
    why = page.locator("#panel-why select")
    why.nth(0).select_option(label="·ice")
    why.nth(1).select_option(label="·apple")
    ask(page, "Ben is a boy. Sue is a girl. Sue said that")
    assert f"now {bar(page, 0)} leads with {percent(page, 0)}" in words
    ask(page, "Ben is a boy. Sue is a girl. Ben said that")
    assert f"{bar(page, 0)} leads with {percent(page, 0)}, and {bar(page, 2)} has {percent(page, 2)}" in words
    expect(page.locator(".why-said")).to_have_text(re.compile(r"^All \d+ parts measured\.$"))
    expect(page.locator(".why-disagree")).to_contain_text("disagree here")
    expect(page.locator(".why-strongest")).to_contain_text("3.5 times less likely")
    why.nth(3).select_option(label="Hide (quick)")
    open_tab(page, "Layers")
    expect(page.locator("#panel-layers")).to_contain_text(
        "only after the last layer; among the first three from layer 3 on"
    )
