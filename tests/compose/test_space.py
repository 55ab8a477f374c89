"""The Space's container: nothing but the wheel, its requirements and a user without rights."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import chromium
import pytest
from containers import Container, docker, until
from pages import click_bar, rows, settled, write
from playwright.sync_api import expect, sync_playwright
from ports import free_port

IMAGE = "next-token/space:local"
LOCAL = "--disable-features=LocalNetworkAccessChecks"  # else no public site may show what this machine serves
FRAME = '<title>A Space</title><iframe src="{url}" width="1200" height="700"></iframe>'
PATH = "/home/user"


@pytest.fixture(scope="module")
def url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def space(url: str) -> Iterator[Container]:
    settings = ("--env", "NEXTTOKEN_MODEL=bundled", "--env", "HF_HUB_OFFLINE=1")
    published = ("--publish", f"{url.removeprefix('http://')}:7860")
    container = Container(docker("run", "--detach", "--init", *published, *settings, IMAGE).strip())
    try:
        until(lambda: answers(f"{url}/readyz"), container.text)
        yield container
    finally:
        docker("rm", "--force", container.id)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def predicted(space: Container, *options: str) -> dict[str, Any]:
    return dict(json.loads(space.run("next-token-visualizer", "predict", "Once upon a", "--json", *options)))


def test_one_command_serves_page_and_answers(space: Container, url: str) -> None:
    assert space.run("id", "-u").strip() == "1000"
    asked = urllib.request.Request(
        f"{url}/api/next-token", json.dumps({"text": "Once upon a"}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        page = json.load(answer)["candidates"]
    for options in ((), ("--target", "localhost:50051")):  # a server of its own, and the one that runs
        command = predicted(space, *options)["candidates"]
        assert [each["token_id"] for each in command] == [each["token_id"] for each in page]
        assert [each["logprob"] for each in command] == pytest.approx([each["logprob"] for each in page], abs=1e-5)


def test_only_the_wheel_is_there(space: Container) -> None:
    script = "import next_token_visualizer, inference_server, web_gateway; print(inference_server.__file__)"
    assert space.run("python", "-c", script).startswith("/opt/venv/lib/")
    assert space.run("sh", "-c", f"ls {PATH}").strip() == ""


def test_the_page_works_within_another_sites_frame(space: Container, url: str) -> None:
    """Chromium takes the host's page for huggingface.co's; any other site's frame stays empty."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.EXECUTABLE, args=[*chromium.ARGUMENTS, LOCAL])
        page = browser.new_page()
        for origin in ("https://huggingface.co", "https://elsewhere.example"):
            page.route(f"{origin}/", lambda route: route.fulfill(content_type="text/html", body=FRAME.format(url=url)))
        page.goto("https://elsewhere.example/")
        refused = page.frame_locator("iframe")
        expect(refused.locator("body")).not_to_contain_text("Next-Token")
        page.goto("https://huggingface.co/")
        frame: Any = page.frames[1]
        settled(frame)
        write(frame, "Once upon a")
        expect(rows(frame)).to_have_count(10)
        assert click_bar(frame, 0)
        browser.close()


def test_it_stops_when_asked(space: Container) -> None:
    docker("stop", "--time", "20", space.id)
    assert space.inspect()["State"]["ExitCode"] == 0
