"""The model picker."""

import re
import signal
import threading
from pathlib import Path

from axe import assert_clean
from hub_server import Fault, Repo, run_hub
from pages import OpenPage, Stack, body, click_bar, percents, rows, running, settled, shoot, write
from playwright.sync_api import Page, expect
from servers import PATIENCE_S


def test_another_model_reads_the_same_text(page: Page, second_model: Path) -> None:
    write(page, "Tom and his dog")
    click_bar(page, 0)
    text = page.locator("#text").input_value()
    shares = percents(page)
    page.locator(".models-open").focus()
    for key in ("Enter", "Tab", "Tab"):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name="second-model")).to_be_focused()
    shoot(page, "models-1440")
    with page.expect_request("**/api/next-token") as asked:
        page.keyboard.press("Enter")
    expect(page.locator(".models-open")).to_be_focused()
    assert body(asked.value)["model"] == str(second_model)
    assert body(asked.value)["text"] == text, "ids of one model mean nothing to another"
    settled(page)
    expect(page.locator("#text")).to_have_value(text)
    expect(page.locator(".models-name")).to_have_text("second-model")
    expect(page.locator("#announcer")).to_contain_text("Using second-model.")
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


def assert_loading_is_clean(page: Page, stack: Stack, begin: threading.Event) -> None:
    """Stops the server in the moment in which it loads a model, and lets it go on."""
    page.evaluate(
        """() => {
          const status = document.querySelector("#status");
          window.loads = new Promise((seen) =>
            new MutationObserver(() => /loading into memory/.test(status.textContent) && seen()).observe(status, {
              subtree: true, childList: true, characterData: true }));
        }"""
    )
    begin.set()
    page.evaluate("window.loads")
    stack.server.process.send_signal(signal.SIGSTOP)
    try:
        expect(page.locator("#status")).to_contain_text("small is loading into memory. Using the demo model until")
        assert_clean(page, "a model that loads")
    finally:
        stack.server.process.send_signal(signal.SIGCONT)


def test_the_demo_model_answers_while_the_default_downloads(
    open_page: OpenPage, second_model: Path, tmp_path: Path
) -> None:
    held = Fault("hold", after=1_000_000)
    with run_hub() as hub:
        hub.repos["owner/small"] = Repo(Repo.of(second_model).files, faults={"model.safetensors": held})
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path)}
        online["HF_HUB_DOWNLOAD_TIMEOUT"] = str(int(PATIENCE_S))  # the held download stays held
        with running(NEXTTOKEN_MODEL="owner/small", **online) as stack:
            idle, busy = open_page(stack.url), open_page(stack.url)
            for page in (idle, busy):
                settled(page)
                expect(page.locator("#status")).to_contain_text(
                    re.compile(r"small is downloading, [\d.]+ of [\d.]+ MB")
                )
                expect(page.locator("#status")).to_contain_text("Using the demo model until then.")
                expect(page.locator("#status progress")).to_be_visible()
            assert_clean(idle, "a model that downloads")
            busy.locator(".models-open").click()
            assert_clean(busy, "the list of models, one of which downloads")
            shoot(busy, "downloading-1440")
            busy.keyboard.press("Escape")
            click_bar(busy, 1)
            text = busy.locator("#text").input_value()
            assert_loading_is_clean(idle, stack, held.release)
            # A text that was only typed moves to the default by itself; one built by hand waits for a word.
            expect(idle.locator(".models-name")).to_have_text("small")
            settled(idle)
            expect(idle.locator("#status")).not_to_contain_text("downloading")
            expect(busy.locator("#status")).to_contain_text("small is ready. Using the demo model until you switch.")
            expect(busy.locator(".models-name")).to_have_text("Demo model")
            expect(busy.locator("#announcer")).to_contain_text("small is ready. Using the demo model until you switch.")
            shoot(busy, "default-ready-1440")
            busy.get_by_role("button", name="Use small").click()
            settled(busy)
            expect(busy.locator("#text")).to_have_value(text)
            expect(busy.locator(".models-name")).to_have_text("small")
            for page in (idle, busy):
                page.close()  # before its server
