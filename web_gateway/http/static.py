"""Serves the frontend's files with ETags, so browsers revalidate their copies."""

import hashlib
from pathlib import Path

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FRONTEND = Path(__file__).parents[2] / "frontend"  # next to this package
ENTRY = "index.html"
MEDIA_TYPES = {  # the mimetypes module depends on the machine
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class Page(StaticFiles):
    """A folder of small files. Paths outside it are 404."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, 404, or 304 if the browser's copy is current."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"allow": "GET, HEAD"})
        file = Path(ENTRY if path == "." else path)
        content = await anyio.to_thread.run_sync(self.read, str(file))
        if content is None or file.suffix not in MEDIA_TYPES:
            raise HTTPException(404)
        # Weak, because the response may be compressed.
        tag = f'W/"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
        headers = {"cache-control": "no-cache", "etag": tag}
        known = Headers(scope=scope).get("if-none-match", "")
        if known.strip() == "*" or tag in (part.strip() for part in known.split(",")):
            return Response(status_code=304, headers={**headers, "vary": "accept-encoding"})
        return Response(content, headers=headers, media_type=MEDIA_TYPES[file.suffix])

    def read(self, path: str) -> bytes | None:
        """The file's content; None if it does not exist or can't be read."""
        try:
            full_path, found = self.lookup_path(path)
            return Path(full_path).read_bytes() if found else None
        except (OSError, ValueError):  # a directory, no permission, a name too long or with a null byte
            return None
