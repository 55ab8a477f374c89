"""The secret that a caller shows: from a variable or a file, never in words of ours. Knows no transport."""

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
    """The secrets of NEXTTOKEN_AUTH_TOKEN or of the lines of NEXTTOKEN_AUTH_TOKEN_FILE; None where neither is set.

    The first is the one to show, all are good: so a new one can be put in place before the old one goes. Raises
    SettingsError, which never holds the secret.
    """
    if given and path:
        raise SettingsError(f"{variable(FIELD)} and {variable(FILE_FIELD)} are both set; set one of them")
    if path:
        return WatchedFile([path], lambda: fitting(FILE_FIELD, content(FILE_FIELD, path).split()))
    if given:
        return WatchedFile([], lambda: fitting(FIELD, [given.encode()]))
    return None


def fitting(field: str, secrets: list[bytes]) -> Secrets:
    """The secrets, if each is one. Raises SettingsError."""
    if not secrets or not all(FIT.fullmatch(secret) for secret in secrets):
        raise SettingsError(f"{variable(field)}: a token is 16 to 1,024 visible ASCII characters, one token a line")
    return tuple(secrets)


def shown(secrets: Secrets) -> tuple[str, str]:
    """The header that shows the first secret."""
    return HEADER, SCHEME + secrets[0].decode()


def accepts(secrets: Secrets, offered: str) -> bool:
    """Whether a header's value shows one of the secrets. Takes as long for a near miss as for any other."""
    scheme, token = offered[: len(SCHEME)], offered[len(SCHEME) :].encode()
    good = [hmac.compare_digest(secret, token) for secret in secrets]  # all of them, whichever fits
    return scheme.lower() == SCHEME.lower() and any(good)
