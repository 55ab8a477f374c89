"""The whole stack as real processes, and a real Chromium in front of it. Any error the page reports fails its test."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chats
import chromium
import pytest
from pages import OpenPage, Stack, running, settled
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from servers import PATIENCE_S, ROOT

BUNDLED = ROOT / "inference_server" / "bundled"
expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture(scope="session")
def second_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model under another name: a model of its own to both services, with a chat template."""
    folder = tmp_path_factory.mktemp("models") / "second-model"
    shutil.copytree(BUNDLED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": chats.TEMPLATE}))
    return folder


@pytest.fixture(scope="session")
def stack(second_model: Path) -> Iterator[Stack]:
    with running(NEXTTOKEN_MODEL="bundled", NEXTTOKEN_MODELS=str(second_model)) as stack:
        stack.server.wait_for("model ready", model=str(second_model))
        yield stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.EXECUTABLE, args=chromium.ARGUMENTS)
        yield browser
        browser.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "noted(*words): what the browser itself notes in these words is no problem")


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Opens the page of a stack in a fresh profile; options are those of a browser context."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []
    marker = request.node.get_closest_marker("noted")
    noted = tuple(f"Failed to load resource: {words}" for words in marker.args) if marker else ()

    def open_(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [words for words in problems if not words.startswith(noted)] == []


@pytest.fixture
def page(open_page: OpenPage, stack: Stack) -> Page:
    """The page at desktop size, with its first bars."""
    page = open_page(stack.url)
    settled(page)
    return page
