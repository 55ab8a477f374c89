"""API keys: who gets in, that only hashes are kept, and that a file may change."""

from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from service_kit.settings import SettingsError
from web_gateway.errors import Unauthenticated
from web_gateway.http.api_keys import ApiKeys, accepts, hashes
from web_gateway.settings import Settings

FIRST, SECOND = "sk-the-first-key-of-all", "sk-the-second-key-of-all"


@pytest.mark.parametrize(
    ("header", "passes"),
    [
        (f"Bearer {FIRST}", True),
        (f"bearer {SECOND}", True),
        (f"Bearer {FIRST[:-1]}", False),
        (f"Bearer {FIRST}x", False),
        (f"Basic {FIRST}", False),
        (FIRST, False),
        ("Bearer ", False),
        ("Bearer \udcff\xe9", False),
        ("", False),
    ],
)
def test_a_header_must_hold_one_of_the_keys(header: str, passes: bool) -> None:
    known = hashes([FIRST.encode(), SECOND.encode()])
    assert all(len(key) == 32 for key in known)
    assert accepts(known, header.encode(errors="replace").decode("latin-1")) is passes


@pytest.mark.parametrize(
    "content", ["", "short\n", "a key with spaces that is not long\n", "sk-é-not-ascii-at-all-xx\n"]
)
def test_a_file_without_good_keys_is_refused_without_showing_them(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(SettingsError) as refused:
        ApiKeys(Settings(api_keys_file=str(tmp_path / "keys")), print)
    assert "NEXTTOKEN_API_KEYS_FILE" in str(refused.value)
    assert not [word for word in content.split() if word in str(refused.value) and len(word) > 8]
    with pytest.raises(SettingsError, match="NEXTTOKEN_API_KEYS_FILE"):
        ApiKeys(Settings(api_keys_file=str(tmp_path / "none")), print)


async def test_keys_can_be_changed_while_it_runs(tmp_path: Path) -> None:
    file, asked, refused = tmp_path / "keys", list[str](), list[str]()
    file.write_text(f"{FIRST}\n")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append("in")

    async def ask(*headers: tuple[bytes, bytes]) -> None:
        nothing: Any = None
        await keyed({"type": "http", "headers": list(headers)}, nothing, nothing)

    keyed = ApiKeys(Settings(api_keys_file=str(file)), refused.append).through(app)
    await ask((b"authorization", f"Bearer {FIRST}".encode()))
    file.write_text(f"{SECOND}\nsk-a-third-key-of-them-all\n")
    with pytest.raises(Unauthenticated, match="Unknown API key"):
        await ask((b"authorization", f"Bearer {FIRST}".encode()))
    with pytest.raises(Unauthenticated, match="No API key"):
        await ask()
    await ask((b"authorization", f"Bearer {SECOND}".encode()))
    assert (asked, refused) == (["in", "in"], ["key", "key"])


def test_without_a_file_nothing_is_asked(tmp_path: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    assert ApiKeys(Settings(), print).through(app) is app
