"""Bearer tokens, from a variable or a file. They never appear in messages."""

import hmac
import re

from service_kit.files import WatchedFile, content
from service_kit.settings import SettingsError, variable

FIELD, FILE_FIELD = "auth_token", "auth_token_file"
FIT = re.compile(rb"[\x21-\x7e]{16,1024}")
HEADER = "authorization"
SCHEME = "Bearer "

Secrets = tuple[bytes, ...]


def read(given: str, path: str) -> WatchedFile[Secrets] | None:
    """The tokens in NEXTTOKEN_AUTH_TOKEN or NEXTTOKEN_AUTH_TOKEN_FILE (one per line); None if neither is set.

    Clients send the first; servers accept all, so tokens can be rotated. Raises SettingsError, without the token.
    """
    if given and path:
        raise SettingsError(f"{variable(FIELD)} and {variable(FILE_FIELD)} are both set; set only one")
    if path:
        return WatchedFile([path], lambda: fitting(FILE_FIELD, content(FILE_FIELD, path).split()))
    if given:
        return WatchedFile([], lambda: fitting(FIELD, [given.encode()]))
    return None


def fitting(field: str, secrets: list[bytes]) -> Secrets:
    """The tokens, validated. Raises SettingsError."""
    if not secrets or not all(FIT.fullmatch(secret) for secret in secrets):
        raise SettingsError(f"{variable(field)}: tokens must be 16 to 1,024 visible ASCII characters, one per line")
    return tuple(secrets)


def shown(secrets: Secrets) -> tuple[str, str]:
    """The header with the first token."""
    return HEADER, SCHEME + secrets[0].decode()


def accepts(secrets: Secrets, offered: str) -> bool:
    """Whether a header's value is one of the tokens, compared in constant time."""
    scheme, token = offered[: len(SCHEME)], offered[len(SCHEME) :].encode()
    good = [hmac.compare_digest(secret, token) for secret in secrets]  # no early exit
    return scheme.lower() == SCHEME.lower() and any(good)
