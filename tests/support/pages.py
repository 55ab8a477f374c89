"""The page for browser tests: the stack behind it, and what a reader does and sees."""

import base64
import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from gateways import gateway_process
from playwright.sync_api import Locator, Page, Request, Response, Route, expect
from ports import free_port
from servers import ROOT, ServerProcess
from warm_python import OFFLINE

ARTIFACTS = ROOT / "artifacts"

OpenPage = Callable[..., Page]


class Stack:
    """Both services on free ports; the inference server can be killed and started again where it was."""

    def __init__(self, **env: str) -> None:
        self.env = {**OFFLINE, "NEXTTOKEN_GRPC_PORT": str(free_port()), **env}
        self.server = ServerProcess(self.env)
        self.target = self.server.target
        self.url = ""

    def kill(self) -> None:
        """The inference server dies at once."""
        self.server.process.kill()
        self.server.close()

    def start(self) -> None:
        """Starts the inference server again on the same port."""
        self.server = ServerProcess(self.env)
        self.server.wait_for("model ready", model="bundled")


@contextlib.contextmanager
def running(**env: str) -> Iterator[Stack]:
    """A stack whose bundled model is ready."""
    stack = Stack(**env)
    try:
        stack.server.wait_for("model ready", model="bundled")
        with gateway_process({"NEXTTOKEN_INFERENCE_TARGET": stack.target}) as gateway:
            assert gateway.url, gateway.log()
            stack.url = gateway.url
            yield stack
    finally:
        stack.server.close()


def redrawn(page: Page) -> None:
    """Waits until the page shows what was just done: it leaves two frames to an answer and draws in the third."""
    page.evaluate("async () => { for (const frame of [1, 2, 3]) await new Promise(requestAnimationFrame); }")


def intercept(page: Page, url: str | re.Pattern[str], handler: Callable[[Route], object], **options: Any) -> None:
    """As `page.route`, for a page that is open: Chromium may still let requests through when that returns."""
    page.route(url, handler, **options)
    page.route("**/healthz?held", lambda route: route.fulfill(status=202))
    while page.evaluate("fetch('healthz?held').then(({ status }) => status)") != 202:
        pass


def settled(page: Page) -> None:
    """Waits until the bars belong to the text at hand and nothing is asked."""
    redrawn(page)
    expect(page.locator("#chart[aria-busy=false]:not([data-stale], [data-empty])")).to_be_visible()


def stay_in_window(page: Page) -> None:
    """Refuses full screen: a window in full screen can't change its size."""
    page.evaluate("() => { document.documentElement.requestFullscreen = () => Promise.reject(new Error('refused')); }")


def focused(page: Page) -> str:
    """What has the focus: its id or its class."""
    return str(page.evaluate("document.activeElement.id || document.activeElement.className"))


def rows(page: Page) -> Locator:
    return page.locator("#chart .row")


def write(page: Page, text: str) -> None:
    """Types over the text and waits for the bars."""
    page.locator("#text").fill(text)
    expect(page.locator("#prompt:not([data-draft])")).to_be_visible()
    settled(page)


def click_bar(page: Page, index: int) -> str:
    """Clicks a bar; the token it appended, as it is spelled in the text. Waits for the next bars."""
    settled(page)
    before = page.locator("#text").input_value()
    rows(page).nth(index).click()
    settled(page)
    after = page.locator("#text").input_value()
    assert after.startswith(before)
    return after[len(before) :]


def look_at(page: Page, token: int) -> None:
    """Clicks a token of the text and waits for the bars of its place."""
    page.locator("#prompt .token").nth(token).click()
    expect(page.locator("#chart[data-looking]")).to_be_visible()
    settled(page)


def branch_at(page: Page, token: int, bar: int) -> None:
    """Puts another bar in the place of a token of the text; waits for the next bars."""
    look_at(page, token)
    rows(page).nth(bar).click()
    expect(page.locator("#prompt .token")).to_have_count(token + 1)
    settled(page)


def open_tab(page: Page, name: str) -> None:
    """Opens the inspector at a tab, and waits until that is loaded."""
    if not page.locator("#inspector").is_visible():
        opener = page.locator("#inspector-open")
        (opener if opener.is_visible() else page.locator(".more-open")).click()
        expect(page.locator("#inspector")).to_be_visible()
    tab = page.get_by_role("tab", name=name)
    if tab.is_visible():  # else it has a place of its own
        tab.click()
    expect(page.locator({"Settings": "#settings"}.get(name, f"#panel-{name.lower()} > *")).first).to_be_visible()


def percents(page: Page) -> list[float]:
    """The bars' percentages as printed, in their order, the others last."""
    printed = page.locator("#chart .percent:visible").all_inner_texts()
    return [number(words.partition("\n")[0]) for words in printed]  # a difference from a pin stands beneath


def number(words: str) -> float:
    """The value of a printed percentage."""
    digits = re.sub(r"[\s<>%]", "", words)
    powers = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    mantissa, _, power = digits.partition("×10")
    return float(mantissa) * 10.0 ** int(power.translate(powers) or 0)


def shoot(page: Page, name: str) -> None:
    """Keeps a screenshot of the view in artifacts/."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")


def answered(response: Response) -> bool:
    return response.url.endswith("/api/next-token") and response.status == 200


def generating(page: Page, *drawn: tuple[int, str]) -> None:
    """Has Generate draw these special tokens one after the other, and the last one again and again."""
    left = list(drawn)

    def change(route: Route) -> None:
        blocks = []
        for block in route.fetch().text().split("\n\n"):
            name, _, data = block.partition("\ndata: ")
            if name != "event: token":
                blocks.append(block)
                continue
            event = json.loads(data)
            token_id, spelled = left.pop(0) if len(left) > 1 else left[0]
            encoded = base64.b64encode(spelled.encode()).decode()
            event["token"].update(token_id=token_id, text=spelled, bytes=encoded, is_special=True)
            blocks.append(f"{name}\ndata: {json.dumps(event)}")
        route.fulfill(content_type="text/event-stream", body="\n\n".join(blocks))

    intercept(page, "**/api/generate", change)


def body(request: Request) -> dict[str, Any]:
    """What a request asked, as sent; empty where it has no body."""
    return dict(request.post_data_json or {})


def asked(page: Page, path: str) -> list[dict[str, Any]]:
    """What the page asks of a path of the API, from now on."""
    found: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.url.endswith(path):
            found.append(body(request))

    page.on("request", note)
    return found
