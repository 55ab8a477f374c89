"""The model picker."""

from pathlib import Path

from pages import body, click_bar, percents, rows, settled, shoot, write
from playwright.sync_api import Page, expect


def test_another_model_reads_the_same_text(page: Page, second_model: Path) -> None:
    write(page, "Tom and his dog")
    click_bar(page, 0)
    text = page.locator("#text").input_value()
    shares = percents(page)
    page.locator(".models-open").click()
    shoot(page, "models-1440")
    with page.expect_request("**/api/next-token") as asked:
        page.get_by_role("button", name="second-model").click()
    assert body(asked.value)["model"] == str(second_model)
    assert body(asked.value)["text"] == text, "ids of one model mean nothing to another"
    settled(page)
    expect(page.locator("#text")).to_have_value(text)
    expect(page.locator(".models-name")).to_have_text("second-model")
    expect(page.locator("#status")).to_contain_text("second-model answers")
    assert percents(page) == shares, "it is a copy of the same model"
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".models-name")).to_have_text("Demo model")
    expect(page.locator("#text")).to_have_value(text)
    expect(rows(page)).to_have_count(10)


def test_the_choice_survives_a_reload(page: Page) -> None:
    page.locator(".models-open").click()
    page.get_by_role("button", name="second-model").click()
    settled(page)
    page.reload()
    settled(page)
    expect(page.locator(".models-name")).to_have_text("second-model")
