"""What is taken along: text, JSON and CSV, pictures, and code that runs."""

import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import OpenPage, Stack, click_bar, intercept, percents, settled, shoot, write
from playwright.sync_api import Page, Route, expect
from servers import ROOT
from sharing import copied, saved, share, writable

TEXT = "The little girl was very"
HOSTILE = [
    "<script>document.title='taken'</script>",
    "=cmd|' /C calc'!A0",
    "\u202egnp.exe",
    "x" * 5000,
    '"><img src=x onerror=alert(1)>',
    "]]>&amp;",
    "\u0000\u001b[31m",
    "-1+1",
    "@SUM(A1)",
    "\r\n=1",
]

READ_XML = """text => {
  const read = new DOMParser().parseFromString(text, "image/svg+xml");
  const all = [...read.querySelectorAll("*")];
  return [all.map(each => each.localName), all.filter(each => each.localName === "text").map(each => each.textContent)];
}"""

COLOUR = """(body, colour) => {
  const canvas = document.createElement("canvas").getContext("2d");
  body.style.outlineColor = colour;
  canvas.fillStyle = getComputedStyle(body).outlineColor;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}"""


@pytest.fixture
def page(page: Page) -> Page:
    return writable(page, TEXT)


def test_text_json_and_csv_say_what_is_on_the_screen(page: Page) -> None:
    page.get_by_role("button", name="More settings").click()
    page.get_by_role("spinbutton", name="Top-p as a number").fill("0.6")
    settled(page)
    shares = percents(page)
    said = json.loads(copied(page, "JSON"))
    assert [100 * each["after_cut"] for each in said["candidates"]] == pytest.approx(shares[:-1], abs=0.06)
    assert said["text"] == TEXT
    assert (said["model"], said["top_p"]) == ("bundled", 0.6)
    (header, *lines) = csv.reader(io.StringIO(copied(page, "CSV"), newline=""))
    column = header.index("probability")
    assert [100 * float(line[column]) for line in lines] == pytest.approx(shares, abs=0.06)
    text = copied(page, "Copy as text")
    assert text.startswith(f"{TEXT}\n")
    printed = page.locator("#chart .row .value").all_inner_texts()
    assert [re.search(r"\S+\s%", line)[0] for line in text.splitlines()[5:15]] == printed  # type: ignore[index]


def spoil(page: Page) -> None:
    """From now on the server's tokens are hostile."""

    def change(route: Route) -> None:
        answer = page.request.post(route.request.url, data=route.request.post_data_json).json()
        for candidate, text in zip(answer["candidates"], HOSTILE, strict=False):
            candidate["text"] = text
            candidate["bytes"] = base64.b64encode(text.encode()).decode()
        route.fulfill(json=answer)

    intercept(page, "**/api/next-token", change)


def test_hostile_tokens_break_no_table_and_no_picture(page: Page) -> None:
    spoil(page)
    write(page, "Tom & <b>'s</b>")
    rowed = list(csv.reader(io.StringIO(copied(page, "CSV"), newline="")))
    assert len(rowed) == 12
    assert {len(row) for row in rowed} == {11}
    cells = [row[rowed[0].index("token")] for row in rowed[1:11]]
    assert [cell.removeprefix("'") for cell in cells] == HOSTILE
    assert not any(cell.lstrip()[:1] in tuple("=+-@") and cell[:1] != "'" for cell in cells)
    assert [each["text"] for each in json.loads(copied(page, "JSON"))["candidates"]] == HOSTILE
    blank = page.context.new_page()  # whose policy does not speak of the picture's style
    kinds, words = blank.evaluate(READ_XML, saved(page, "SVG").decode())
    assert set(kinds) == {"svg", "style", "pattern", "rect", "text"}
    assert any("<script>" in each for each in words), "markup is text"
    assert not any("\u202e" in each for each in words)
    png = saved(page, "Save as PNG")
    assert png.startswith(b"\x89PNG\r\n")
    assert page.title() == "Next-Token Visualizer"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_show_the_chart(open_page: OpenPage, stack: Stack, scheme: str) -> None:
    page = open_page(stack.url, color_scheme=scheme)
    write(page, TEXT)
    page.locator("#pin").click()
    page.locator("#temperature").fill("0.6")
    page.get_by_role("button", name="More settings").click()
    page.get_by_role("spinbutton", name="Top-p as a number").fill("0.9")
    settled(page)
    page.get_by_role("button", name="Roll 100 times").click()
    settled(page)
    picture = saved(page, "SVG").decode()
    shown = page.locator("#chart :is(.value, .delta, .chart-legend, .others-name), .actions .said").all_inner_texts()
    assert len(shown) > 20
    missing = [words for words in shown if words not in picture]
    assert missing == [], "what is on the screen is in the picture"
    rolled = page.locator("#chart .count-words:visible").all_inner_texts()
    assert sorted(re.findall(r"\u2068(\d+×)\u2069", picture)) == sorted(rolled)
    assert picture.count('class="cut"') == page.locator("#chart [data-fell]").count() > 0
    assert picture.count('class="pinA"') == 11, "a strip for each bar, and one that names the pin"
    png = saved(page, "Save as PNG")
    (ROOT / "artifacts" / f"chart-{scheme}.png").write_bytes(png)
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert width == 1920
    assert height > 800
    alone = page.context.new_page()
    alone.set_content(f"<body style='margin:0'>{picture}</body>")
    shoot(alone, f"chart-svg-{scheme}")
    roles = {"surface": "surface", "ink": "ink", "bar": "bar", "pale": "bar-raw", "track": "track", "pinA": "pin-a"}
    for part, role in roles.items():
        theirs = page.locator("body").evaluate(COLOUR, f"var(--{role})")
        ours = alone.evaluate("part => getComputedStyle(document.querySelector(`svg .${part}`)).fill", part)
        assert alone.locator("body").evaluate(COLOUR, ours) == theirs, part


@pytest.mark.parametrize("cut", [False, True])
def test_the_curl_call_gives_the_numbers_on_the_screen(page: Page, cut: bool) -> None:
    if cut:
        click_bar(page, 2)
        page.get_by_role("button", name="More settings").click()
        page.get_by_role("spinbutton", name="Top-p as a number").fill("0.7")
        page.get_by_role("spinbutton", name="Min-p as a number").fill("0.05")
    else:
        write(page, 'It\'s "quoted" $(echo no) `no` \\ \u202e')
    page.get_by_role("spinbutton", name="Temperature as a number").fill("0.8")
    settled(page)
    shares = percents(page)[:-1]
    done = subprocess.run(
        ["bash", "-c", copied(page, "Copy for curl")], capture_output=True, text=True, timeout=60, check=True
    )
    answer = json.loads(done.stdout)
    kept = answer["kept"]
    given = [
        100 * each["probability"] / kept["probability"] if each["rank"] <= kept["count"] else 0
        for each in answer["candidates"]
    ]
    assert given == pytest.approx(shares, abs=0.051)


@pytest.mark.parametrize("cut", [False, True])
def test_the_python_call_gives_the_numbers_on_the_screen(page: Page, stack: Stack, cut: bool, tmp_path: Path) -> None:
    if cut:
        click_bar(page, 2)
        page.get_by_role("button", name="More settings").click()
        page.get_by_role("spinbutton", name="Top-p as a number").fill("0.7")
    else:
        write(page, 'It\'s "quoted" {braces} \\ \u202e\u00a0x')
    page.get_by_role("spinbutton", name="Temperature as a number").fill("0.8")
    settled(page)
    shares = percents(page)[:-1]
    code = copied(page, "Python, gRPC")
    assert 'TARGET = "localhost:50051"' in code
    done = subprocess.run(
        [sys.executable, "-c", code.replace("localhost:50051", stack.target)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "proto")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    given = [float(re.findall(r"([\d.]+)%", line)[0]) for line in done.stdout.splitlines()]
    assert given == pytest.approx(shares, abs=0.051)


def test_where_copying_is_forbidden_the_text_is_shown(page: Page) -> None:
    page.evaluate("""() => {
      navigator.clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
      document.execCommand = () => false;
    }""")
    share(page, "JSON")
    expect(page.locator(".share-said")).to_contain_text("doesn’t allow copying")
    expect(page.locator(".share-code")).to_contain_text('"model": "bundled"')


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1440, 900)])
def test_the_share_menu_fits(open_page: OpenPage, stack: Stack, width: int, height: int, scheme: str) -> None:
    page = open_page(stack.url, viewport={"width": width, "height": height}, color_scheme=scheme)
    write(page, TEXT)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    share(page, "Python, gRPC")
    expect(page.locator(".share-code")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")  # a click that had to be tried again scrolls the page
    expect(page.get_by_role("dialog", name="Share")).to_be_in_viewport(ratio=1)
    shoot(page, f"share-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_without_the_newer_clipboard_the_older_one_copies(page: Page) -> None:
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('insecure')); }")
    link = copied(page, "Copy link")
    assert "#ntv=" in link
