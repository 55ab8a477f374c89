"""The page's files: what they are served as, what is remembered of them, and that nothing else is served."""

import gzip
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import NOWHERE, gateway_here, problem
from starlette.applications import Starlette
from starlette.routing import Mount

from service_kit.settings import Origin
from web_gateway.http import static

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Any]:
    async with gateway_here(NOWHERE) as gateway:
        yield gateway


def files() -> list[str]:
    return [str(path.relative_to(static.FRONTEND)) for path in sorted(static.FRONTEND.rglob("*")) if path.is_file()]


async def test_the_page_is_there(gateway: Any) -> None:
    answer = await gateway.web.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (static.FRONTEND / "index.html").read_bytes()
    assert "<title>" in answer.text


@pytest.mark.parametrize("name", files())
async def test_every_file_has_its_kind_and_content(gateway: Any, name: str) -> None:
    answer = await gateway.web.get("/" + name)
    assert answer.status_code == 200, "its kind is missing from MEDIA_TYPES"
    assert answer.content == (static.FRONTEND / name).read_bytes()
    guessed = (mimetypes.guess_type(name)[0] or "").replace("application/javascript", "text/javascript")
    assert answer.headers["content-type"].split(";")[0] == guessed
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_copy_that_holds_is_not_sent_again(gateway: Any) -> None:
    first = await gateway.web.get("/")
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f'"other", {tag}', "*"):
        again = await gateway.web.get("/", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "no-cache"
    assert (await gateway.web.get("/", headers={"if-none-match": '"other"'})).status_code == 200


async def test_a_changed_file_is_sent_anew(tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    file.write_text("one")
    app = Starlette(routes=[Mount("/", app=static.Page(directory=tmp_path))])
    app.state.feed = type("Feed", (), {"close": lambda self: None})()
    async with gateway_here(NOWHERE, app) as gateway:
        before = await gateway.web.get("/")
        file.write_text("two")  # as long, and perhaps within the clock's tick
        after = await gateway.web.get("/", headers={"if-none-match": before.headers["etag"]})
        assert (before.text, after.text) == ("one", "two")


async def test_head(gateway: Any) -> None:
    got, asked = await gateway.web.get("/"), await gateway.web.head("/")
    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("etag", "content-type", "cache-control"):
        assert asked.headers[name] == got.headers[name]


async def test_text_is_compressed_for_those_who_take_it(gateway: Any) -> None:
    async with gateway.web.stream("GET", "/", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert gzip.decompress(raw) == (static.FRONTEND / "index.html").read_bytes()
    assert len(raw) < len(gzip.decompress(raw))
    plain = await gateway.web.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] == answer.headers["etag"]


async def test_the_many_small_files_are_compressed_too(gateway: Any) -> None:
    files = [path for path in static.FRONTEND.rglob("*.js") if path.stat().st_size > 600]
    smallest = min(files, key=lambda path: path.stat().st_size)
    answer = await gateway.web.get(f"/{smallest.relative_to(static.FRONTEND)}", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < smallest.stat().st_size == len(answer.content)


@pytest.mark.parametrize(
    "path",
    [
        b"/../pyproject.toml",
        b"/core/../../pyproject.toml",
        b"/..%2fpyproject.toml",
        b"/%2e%2e/pyproject.toml",
        b"/%2e%2e%2fpyproject.toml",
        b"/..%5cpyproject.toml",
        b"//etc/passwd",
        b"/%2fetc%2fpasswd",
        b"/core",
        b"/core/",
        b"/index.html%00.js",
        b"/" + b"a" * 300,
        b"/" + b"a/" * 3000,
        b"/%ff%fe",
    ],
)
async def test_nothing_else_is_served(gateway: Any, path: bytes) -> None:
    request = gateway.web.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path)
    problem(await gateway.web.send(request), 404, "not_found")


async def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "out.html").write_text("private")
    (inside / "link.html").symlink_to(tmp_path / "out.html")
    assert static.Page(directory=inside).read("link.html") is None


async def test_every_answer_tells_the_browser_what_it_may_do(gateway: Any) -> None:
    for path in ("/", "/nothing", "/api/models", "/healthz"):
        headers = (await gateway.web.get(path)).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["style-src"] == "'self'"
        assert "unsafe" not in headers["content-security-policy"]
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "server" not in headers


async def test_listed_sites_may_show_the_page_in_a_frame() -> None:
    origins = ("https://school.example", "https://huggingface.co")
    async with gateway_here(NOWHERE, frame_origins=tuple(map(Origin, origins))) as gateway:
        headers = (await gateway.web.get("/")).headers
    assert headers["content-security-policy"].endswith(f"; frame-ancestors {' '.join(origins)}")
    assert "x-frame-options" not in headers
