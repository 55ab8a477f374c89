"""The page in headless Chromium, with the bundled model behind it: clicks, drags, a tree, weight, trips, growth."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import chromium
from playwright.async_api import Browser, CDPSession, Page, Request, Response, Route, async_playwright

from bench.stack import percentile, running

CLICKS = 60
GROWTH_CLICKS = 500  # beside the four tokens of the first text, within the model's 512
STEPS_BACK = 150
REST_S = 1.0  # rows on their way out are held by their animation, and what is kept is written a moment later
THOUGHT_MS = 300  # between two clicks
QUIET_S = 0.7  # without another request, a round is whole
DRAG_MS = TREE_MS = 3000
GROWN_MS = 180_000

SETTLED = "#chart[aria-busy=false]:not([data-stale], [data-empty])"

# From the browser's own time of the click to the frame that holds the bars of the longer text.
CLICK = """([index, thought]) => new Promise((done) => setTimeout(() => {
  const tokens = () => document.querySelector(".prompt-count").textContent;
  const before = tokens();
  const row = document.querySelectorAll("#chart .row")[index];
  const begun = performance.now();
  row.click();
  const look = () => {
    const chart = document.querySelector("#chart");
    const stands = chart.getAttribute("aria-busy") === "false" && !chart.matches("[data-stale], [data-empty]");
    if (stands && tokens() !== before) setTimeout(() => done(performance.now() - begun));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}, thought))"""

# Frames in which the dragged temperature changed the bars, a second.
DRAG = """(length) => new Promise((done) => {
  const slider = document.querySelector("#temperature");
  const bar = document.querySelector("#chart .bar");
  const begun = performance.now();
  let [frames, at] = [0, 0];
  let last = "";
  const step = (now) => {
    const share = bar.style.getPropertyValue("--share");
    if (share !== last) frames += 1;
    last = share;
    if (now - begun > length) {
      slider.dispatchEvent(new Event("change", { bubbles: true }));
      return done((frames * 1000) / (now - begun));
    }
    slider.value = String(0.3 + 0.05 * Math.abs(30 - (at++ % 60))); // there and back, another value in every frame
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""

# Frames a second of the tree, moved or zoomed in every frame, a little around where all of it is in view.
TREE = """([length, zooms]) => new Promise((done) => {
  const stage = document.querySelector(".tree-stage");
  const { left, top, width, height } = stage.getBoundingClientRect();
  const how = { bubbles: true, cancelable: true, pointerId: 1, button: 0 };
  const place = (x, y) => ({ clientX: left + x, clientY: top + y, ...how });
  stage.setPointerCapture = () => {};
  const press = (kind, at) => stage.dispatchEvent(new PointerEvent(kind, place(width / 2 + at, height / 2 + at)));
  if (!zooms) press("pointerdown", 0);
  let at = 0;
  let begun = 0;
  const step = (now) => {
    begun ||= now;
    if (now - begun > length) {
      if (!zooms) press("pointerup", 20);
      return done((at * 1000) / (now - begun));
    }
    const back = Math.floor(at++ / 15) % 2;
    const wheel = { ...place(width / 2, height / 2), deltaY: back ? -4 : 4 };
    if (zooms) stage.dispatchEvent(new WheelEvent("wheel", wheel));
    else press("pointermove", 4 * (back ? 15 - (at % 15) : at % 15));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


async def settled(page: Page) -> None:
    await page.wait_for_selector(SETTLED)


async def opened(browser: Browser, url: str) -> Page:
    """A first visit, with its first bars."""
    page = await (await browser.new_context(viewport={"width": 1440, "height": 900})).new_page()
    await page.goto(url)
    await settled(page)
    return page


async def clicks(browser: Browser, url: str) -> dict[str, float]:
    """Milliseconds from a click on a bar to its painted answer, after a moment of thought."""
    page = await opened(browser, url)
    taken = [float(await page.evaluate(CLICK, [at % 3, THOUGHT_MS])) for at in range(CLICKS)]
    await page.context.close()
    return {"paint_ms": percentile(taken, 0.5), "paint_p95_ms": percentile(taken, 0.95)}


async def drag(browser: Browser, url: str) -> dict[str, float]:
    """Frames a second that show another temperature, with fifty bars."""
    page = await opened(browser, url)
    await page.fill("#top-k-number", "50")
    await page.wait_for_selector("#chart li:nth-child(50)")
    await settled(page)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    fps = float(await page.evaluate(DRAG, DRAG_MS))
    await page.context.close()
    return {"drag_fps": fps, "drag_requests": sum(request.url.endswith("next-token") for request in asked[:-1])}


async def tree(browser: Browser, url: str) -> dict[str, float]:
    """Frames a second while a tree of 2,000 nodes, all of it in view, is moved or zoomed, whichever has fewer."""
    page = await opened(browser, url)
    await page.get_by_role("tab", name="Tree").click()
    await page.get_by_label("Branches").select_option("2000")
    await page.get_by_label("Tokens deep").select_option("8")
    await page.get_by_role("button", name="Grow", exact=True).click()
    await page.get_by_text("2,000 branches:").wait_for(timeout=GROWN_MS)
    await page.get_by_role("button", name="Stop").wait_for(state="hidden")
    await page.get_by_role("button", name="Show all").click()
    fps = [float(await page.evaluate(TREE, [TREE_MS, zooms])) for zooms in (False, True)]
    await page.context.close()
    return {"tree_fps": min(fps)}


async def first_visit(browser: Browser, url: str) -> dict[str, float]:
    """What travels before the first bars: files, their compressed bodies, and rounds that wait for one another.

    Requests are held until no more come, then let go together: that is one round trip, however many connections a
    browser opens.
    """
    page = await (await browser.new_context()).new_page()
    waiting: list[Route] = []
    rounds = files = size = 0

    async def hold(route: Route) -> None:
        waiting.append(route)

    def weigh_file(response: Response) -> None:
        nonlocal files, size
        files += 1
        size += int(response.headers.get("content-length", 0))

    page.on("response", weigh_file)
    await page.route("**/*", hold)
    going = asyncio.create_task(page.goto(url))
    bars = asyncio.create_task(settled(page))
    while not bars.done():
        known = -1
        while known < len(waiting) or not waiting:
            known = len(waiting)
            await asyncio.wait([bars], timeout=QUIET_S)
            if bars.done():
                break
        held, waiting[:] = list(waiting), []
        rounds += bool(held)
        await asyncio.gather(*(route.continue_() for route in held))
    await asyncio.gather(going, bars)
    await page.context.close()
    return {"page_kb": size / 1e3, "page_files": files, "page_round_trips": rounds}


async def weigh(cdp: CDPSession) -> tuple[float, float]:
    """DOM nodes alive, and the heap in kB, once nothing moves and the collector has run."""
    await asyncio.sleep(REST_S)
    for _ in range(2):
        await cdp.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in (await cdp.send("Performance.getMetrics"))["metrics"]}
    return metrics["Nodes"], metrics["JSHeapUsedSize"] / 1e3


NODES = """() => {
  const tokens = document.querySelector("#tokens");
  const drawn = (element, pseudo) => !["none", "normal"].includes(getComputedStyle(element, pseudo).content);
  const marks = [...tokens.querySelectorAll("*")].flatMap((each) =>
    ["::before", "::after"].filter((pseudo) => drawn(each, pseudo)),
  );
  return document.evaluate("count(.//node())", tokens).numberValue + marks.length;
}"""


async def tokens_drawn(page: Page) -> int:
    """DOM nodes of the text as tokens: elements, their words, and what style sheets draw before and after them."""
    return int(await page.evaluate(NODES))


async def growth(browser: Browser, url: str) -> dict[str, float]:
    """What 500 clicks leave behind: nodes beside those of the path itself, and memory, most of it the path's answers.

    Then the same click done and taken back, over and over: no longer path, so nothing may be left of it.
    """
    page = await opened(browser, url)
    cdp = await page.context.new_cdp_session(page)
    await cdp.send("Performance.enable")
    nodes, heap = await weigh(cdp)
    drawn = await tokens_drawn(page)
    for _ in range(GROWTH_CLICKS):
        await page.evaluate(CLICK, [0, 0])
    longer, heavier = await weigh(cdp)
    path = await tokens_drawn(page) - drawn
    for _ in range(STEPS_BACK):
        await page.keyboard.press("ArrowLeft")
        await page.evaluate(CLICK, [0, 0])
    same, after = await weigh(cdp)
    await page.context.close()
    return {
        "nodes_beside_the_path": longer - nodes - path,
        "nodes_of_the_path": path,
        "heap_kb_per_click": (heavier - heap) / GROWTH_CLICKS,
        "nodes_left_by_a_step_back": (same - longer) / STEPS_BACK,
        "heap_kb_left_by_a_step_back": (after - heavier) / STEPS_BACK,
    }


MEASURES: list[Callable[[Browser, str], Awaitable[dict[str, Any]]]] = [clicks, drag, tree, first_visit, growth]


async def measure() -> dict[str, float]:
    """All figures of the page; prints them as a table."""
    figures: dict[str, float] = {}
    async with running() as stack, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.EXECUTABLE, args=[*chromium.ARGUMENTS, "--js-flags=--expose-gc"]
        )
        for each in MEASURES:
            figures |= await each(browser, stack.url)
        await browser.close()
    print("the page in headless Chromium, bundled model")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 2) for name, value in figures.items()}
