"""API keys of the OpenAI-compatible paths: a list in a file, of which only hashes stay in memory."""

import hashlib
import hmac
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service_kit.bearer import HEADER, SCHEME
from service_kit.files import WatchedFile, content
from service_kit.settings import SettingsError, variable
from web_gateway.errors import Unauthenticated
from web_gateway.http.shares import Refused
from web_gateway.settings import Settings

FIELD = "api_keys_file"
FIT = re.compile(rb"[\x21-\x7e]{16,1024}")
REASON = "key"
MISSING = "No API key: send the header Authorization: Bearer KEY."
WRONG = "Unknown API key."

Hashes = tuple[bytes, ...]


class ApiKeys:
    """Admits requests with one of the keys; all of them if there is no file."""

    def __init__(self, settings: Settings, refused: Refused) -> None:
        """Raises SettingsError, without a key."""
        path = settings.api_keys_file
        self._keys = WatchedFile([path], lambda: hashes(content(FIELD, path).split())) if path else None
        self._refused = refused

    def through(self, app: ASGIApp) -> ASGIApp:
        """Wraps the app. Raises Unauthenticated."""
        if self._keys is None:
            return app
        keys = self._keys

        async def keyed(scope: Scope, receive: Receive, send: Send) -> None:
            keys.renewed()
            offered = Headers(scope=scope).get(HEADER)
            if offered is None or not accepts(keys.value, offered):
                self._refused(REASON)
                raise Unauthenticated(MISSING if offered is None else WRONG)
            await app(scope, receive, send)

        return keyed


def hashes(keys: list[bytes]) -> Hashes:
    """The hash of each key. Raises SettingsError."""
    if not keys or not all(FIT.fullmatch(key) for key in keys):
        raise SettingsError(f"{variable(FIELD)}: keys must be 16 to 1,024 visible ASCII characters, one per line")
    return tuple(map(hashed, keys))


def hashed(key: bytes) -> bytes:
    """Keys are long and random, so one round is enough; hashes have one length, which a comparison can't give away."""
    return hashlib.sha256(key).digest()


def accepts(keys: Hashes, offered: str) -> bool:
    """Whether a header's value is one of the keys, in a time that depends on none of them."""
    scheme, key = offered[: len(SCHEME)], hashed(offered[len(SCHEME) :].encode())
    good = [hmac.compare_digest(known, key) for known in keys]  # no early exit
    return scheme.lower() == SCHEME.lower() and any(good)
