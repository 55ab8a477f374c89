"""What a first visit costs: round trips that wait for one another, and bytes that travel."""

import re
from urllib.parse import urlsplit

from pages import OpenPage, Stack, open_tab, settled
from playwright.sync_api import Page, Response, Route, expect
from servers import PATIENCE_S, ROOT

HEAVIEST_KB = 140
HEAVIEST_EXPLAINED_KB = 190  # with Why and Layers
POLL_MS = 20


def named() -> set[str]:
    """The paths that the page itself names: its files and the list of models."""
    head = (ROOT / "frontend" / "index.html").read_text(encoding="utf-8").partition("</head>")[0]
    links = re.findall(r'<link rel="(?:preload|stylesheet|modulepreload)" href="([^"]+)"', head)
    return {f"/{path}" for path in [*links, *re.findall(r'<script type="module" src="([^"]+)"', head)]}


def asked(page: Page, held: list[Route], wanted: set[str]) -> set[str]:
    """Waits until all of these paths are asked for; returns whatever is."""
    for _ in range(int(PATIENCE_S * 1000 / POLL_MS)):
        paths = {urlsplit(route.request.url).path for route in held}
        if wanted <= paths:
            return paths
        page.wait_for_timeout(POLL_MS)
    raise AssertionError(f"never asked for: {wanted - paths}")


def test_the_first_bars_take_three_round_trips_and_a_bounded_weight(open_page: OpenPage, stack: Stack) -> None:
    page = open_page("about:blank")
    held: list[Route] = []
    sizes: list[int] = []

    def weigh(response: Response) -> None:
        sizes.append(int(response.headers.get("content-length", 0)))

    def hold(route: Route) -> None:
        held.append(route)

    page.on("response", weigh)
    page.route(lambda url: urlsplit(url).path != "/", hold)
    page.goto(stack.url, wait_until="commit")  # the first
    files = asked(page, held, named())
    assert files - named() <= {"/favicon.svg"}, "what a file asks for comes a round later"
    released, held[:] = list(held), []
    for route in released:  # the second
        route.continue_()
    answer = asked(page, held, {"/api/next-token"})
    assert answer <= {"/api/next-token", "/api/models/events", "/favicon.svg"}
    page.unroute_all()  # the third: what is held goes on
    settled(page)
    assert len(sizes) > len(named())
    assert sum(sizes) < HEAVIEST_KB * 1000


def test_why_and_layers_come_when_they_are_opened_and_weigh_little(open_page: OpenPage, stack: Stack) -> None:
    page = open_page("about:blank")
    sizes: dict[str, int] = {}

    def weigh(response: Response) -> None:
        sizes[urlsplit(response.url).path] = int(response.headers.get("content-length", 0))

    page.on("response", weigh)
    page.goto(stack.url)
    settled(page)
    tabs = ("/features/why/", "/features/layers/")
    assert not [path for path in sizes if path.startswith(tabs)]
    open_tab(page, "Why")
    expect(page.locator(".why-strongest li").first).to_be_visible()
    open_tab(page, "Layers")
    expect(page.locator("#panel-layers svg").first).to_be_visible()
    assert all(any(path.startswith(tab) for path in sizes) for tab in tabs)
    files = {path: size for path, size in sizes.items() if not path.startswith("/api/")}
    assert sum(files.values()) < HEAVIEST_EXPLAINED_KB * 1000, sorted(files.items(), key=lambda item: -item[1])[:20]
