"""A bad network between the tiers: cut and healed, slow and lossy. Nothing is lost for good, and nobody has to help.

Readers ask beside a page in a real browser, which says what it waits for and goes on by itself.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import chromium
import httpx
import pytest
from containers import GATEWAY, SERVER, Container, Stack, docker, running, until
from pages import click_bar, percents, rows, settled, write
from playwright.sync_api import Page, expect, sync_playwright
from readers import Answer, readers
from servers import ROOT


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running() as stack:
        yield stack


@pytest.fixture(scope="module")
def page(stack: Stack) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.EXECUTABLE, args=chromium.ARGUMENTS)
        page = browser.new_page()
        page.goto(stack.url)
        settled(page)
        yield page
        browser.close()


@contextlib.contextmanager
def slow(container: Container, delay_ms: int, loss_percent: int) -> Iterator[None]:
    """Holds back and drops what the container sends."""
    script = ROOT / "tests" / "support" / "slow_network.py"
    program = [sys.executable, str(script), "eth0", str(delay_ms), str(loss_percent)]
    enter = ["nsenter", "--net", "--target", str(container.pid)]
    with subprocess.Popen([*enter, *program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.terminate()


def test_delay_and_loss_cost_time_and_nothing_else(stack: Stack, page: Page) -> None:
    (server,) = stack.containers()
    write(page, "Once upon a time")
    quick = [click_bar(page, 0) for _ in range(3)]
    write(page, "Once upon a night")
    write(page, "Once upon a time")
    with readers(stack.url, count=12) as load:
        usual = load.everyone()
        with slow(server, delay_ms=200, loss_percent=5):
            slowed = load.everyone(3)
            assert [click_bar(page, 0) for _ in range(3)] == quick
        load.everyone()
    assert load.failures() == []
    assert min(answer.seconds for answer in slowed) >= 0.2
    print(f"\nmedian_s {median(usual):.3f}, with 200 ms and 5 % loss {median(slowed):.3f}")  # noqa: T201


def median(answers: list[Answer]) -> float:
    return sorted(answer.seconds for answer in answers)[len(answers) // 2]


def test_a_cut_is_said_and_heals_by_itself(stack: Stack, page: Page) -> None:
    (server,) = stack.containers()
    network = f"{stack.project}_default"
    write(page, "Tom and his dog")
    with readers(stack.url, count=12) as load, httpx.Client(base_url=stack.url, timeout=30) as web:
        load.everyone()
        docker("network", "disconnect", network, server.id)
        until(lambda: load.failures())
        assert web.get("/healthz").status_code == 200
        said = web.get("/readyz")
        assert (said.status_code, said.json()["code"]) == (503, "unavailable")
        assert "Can't reach" in said.json()["error"]
        expect(page.locator("#status[data-tone=bad]")).to_contain_text("your text is safe")
        expect(rows(page)).to_have_count(10)
        rows(page).nth(1).click()  # the text goes on; its bars come when the network does
        expect(page.locator("#chart[data-stale]")).to_be_visible()
        text = page.locator("#text").input_value()
        assert len(text) > len("Tom and his dog")
        docker("network", "connect", "--alias", SERVER, network, server.id)
        until(lambda: web.get("/readyz").status_code == 200)
        load.everyone()
        settled(page)
        expect(page.locator("#status")).to_have_attribute("data-tone", "calm")
        expect(page.locator("#text")).to_have_value(text)
        assert len(percents(page)) == 11
    foreseen = {503: '"code":"unavailable"', 504: '"code":"deadline_exceeded"'}
    assert [
        each for each in load.failures() if each.status not in foreseen or foreseen[each.status] not in each.body
    ] == []


def test_the_gateway_starts_without_a_server_and_finds_it_later(stack: Stack) -> None:
    stack.compose("stop", SERVER)
    stack.compose("restart", GATEWAY)
    with httpx.Client(base_url=stack.url, timeout=30) as web:
        until(lambda: answers(web))
        assert "html" in web.get("/").text
        said = web.post("/api/next-token", json={"text": "Once"})
        assert (said.status_code, said.json()["code"]) == (503, "unavailable")
        stack.compose("start", SERVER)
        until(lambda: web.post("/api/next-token", json={"text": "Once"}).status_code == 200)


def answers(web: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return web.get("/healthz").status_code == 200
    return False
