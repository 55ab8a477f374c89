"""A server on loopback with the Hub's addresses, headers and faults, for models that a test makes up."""

import contextlib
import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants
from ports import free_port

PIECE = 64 * 1024
WAIT_S = 60.0


@dataclass
class Fault:
    """What happens to a file's download after so many bytes of the answer, as many times as `times` says."""

    kind: Literal["hold", "close", "reset", "corrupt"]
    after: int
    times: int = 1
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


@dataclass
class Repo:
    """A model's files; `refusal` is the status and error code that every request gets instead.

    A `taciturn` repository lists its files as some mirrors do: by name alone. `revisions` are other branches and tags.
    The hostile ones `twist` what they list, send other `contents` than they list, and other `headers` with them.
    """

    files: dict[str, bytes]
    taciturn: bool = False
    revisions: dict[str, "Repo"] = field(default_factory=dict)
    twist: Callable[[dict[str, Any]], Any] = lambda info: info
    contents: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    faults: dict[str, Fault] = field(default_factory=dict)

    @property
    def sha(self) -> str:
        """The commit: it changes when a file does."""
        names = sorted((name, sha256(content)) for name, content in self.files.items())
        return hashlib.sha1(repr(names).encode(), usedforsecurity=False).hexdigest()

    def at(self, revision: str | None) -> "Repo | None":
        """The repository at a branch, tag or commit; None where there is no such."""
        if revision in (None, "main", self.sha):
            return self
        return next((repo for name, repo in self.revisions.items() if revision in (name, repo.sha)), None)

    @classmethod
    def of(cls, folder: Path) -> "Repo":
        """A repository with the files of a folder."""
        return cls({path.name: path.read_bytes() for path in folder.iterdir()})


class Hub:
    """The repositories, and a record of the requests: (method, path, Range header or None)."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.endpoint = ""

    def ranges(self, name: str) -> list[str]:
        """The Range headers that downloads of a file came with."""
        asked = [span for method, path, span in self.requests if method == "GET" and path.endswith(f"/{name}")]
        return [span for span in asked if span is not None]

    def downloads(self, name: str) -> int:
        """How often a file was asked for."""
        return sum(method == "GET" and path.endswith(f"/{name}") for method, path, _ in self.requests)


def is_lfs(name: str) -> bool:
    """Whether the Hub would keep the file in its large-file store."""
    return name.endswith((".safetensors", ".bin", ".model"))


@cache
def sha256(content: bytes) -> str:
    """The large-file store's name for a content."""
    return hashlib.sha256(content).hexdigest()


@cache
def blob_id(content: bytes) -> str:
    """Git's name for a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def run_hub(host: str = "127.0.0.1") -> Iterator[Hub]:
    """A Hub without models, at Hub.endpoint."""
    hub = Hub()
    server = ThreadingHTTPServer((host, 0), type("HubHandler", (Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        for repo in hub.repos.values():
            for fault in repo.faults.values():
                fault.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def point_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does to a new process."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


def unreachable() -> str:
    """An endpoint where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        # What the system holds back for a slow reader is lost at a reset: keep it well under a test's megabytes.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        for pattern, answer in (
            (r"/api/models/(\w+/[^/]+)(?:/revision/(.+))?", self.info),
            (r"/api/models/(\w+/[^/]+)/tree/([^/]+)", self.tree),
            (r"/(\w+/[^/]+)/resolve/([^/]+)/(.+)", self.resolve),
        ):
            if match := re.fullmatch(pattern, path):
                repo = self.hub.repos.get(match[1])
                if repo is None:
                    self.refuse(404, "RepoNotFound")
                elif repo.refusal:
                    self.refuse(*repo.refusal)
                elif (there := repo.at(match[2])) is None:
                    self.refuse(404, "RevisionNotFound")
                else:
                    answer(there, *match.groups())
                return
        self.refuse(404, "")

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_json(self, value: Any) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def info(self, repo: Repo, name: str, revision: str | None) -> None:
        siblings: list[dict[str, Any]] = []
        for path, content in repo.files.items():
            sibling: dict[str, Any] = {"rfilename": path}
            if not repo.taciturn:
                sibling |= {"size": len(content), "blobId": blob_id(content)}
            if is_lfs(path) and not repo.taciturn:
                sibling["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 133}
            siblings.append(sibling)
        told = {"id": name, "modelId": name, "sha": repo.sha, "private": False, "siblings": siblings}
        self.send_json(repo.twist(told))

    def tree(self, repo: Repo, name: str, revision: str) -> None:
        entries: list[dict[str, Any]] = []
        for path, content in repo.files.items():
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob_id(content)}
            if is_lfs(path):
                entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 133}
            entries.append(entry)
        self.send_json(entries)

    def resolve(self, repo: Repo, name: str, revision: str, path: str) -> None:
        content = repo.contents.get(path, repo.files.get(path))
        if content is None:
            self.refuse(404, "EntryNotFound")
            return
        first = 0
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if span:
            first = int(span[1])
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        etag = f'"{sha256(content) if is_lfs(path) else blob_id(content)}"'
        for key, value in {"ETag": etag, "X-Repo-Commit": repo.sha, **repo.headers}.items():
            self.send_header(key, value)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if self.command == "GET":
            self.send_content(content[first:], repo.faults.get(path))

    def send_content(self, content: bytes, fault: Fault | None) -> None:
        """The body, in pieces, with the file's fault where it is due."""
        due = fault is not None and fault.times > 0
        if fault and due:
            fault.times -= 1
            if fault.kind == "corrupt":
                content = content[: fault.after] + bytes(len(content) - fault.after)
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(content), PIECE):
                if fault and due and at >= fault.after and fault.kind != "corrupt":
                    due = False
                    fault.reached.set()
                    if fault.kind == "hold":
                        fault.release.wait(WAIT_S)
                    else:
                        self.cut(fault.kind)
                        return
                self.wfile.write(content[at : at + PIECE])

    def cut(self, kind: str) -> None:
        """Ends the connection in the middle of an answer: with a farewell, or without."""
        self.close_connection = True
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
