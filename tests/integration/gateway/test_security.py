"""The tiers under TLS, mutual TLS and tokens: who gets in, what the others are told, and changes while work goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fakes
import httpx
import make_test_ca
import pytest
import structlog
from gateways import gateway_here, problem
from load import under_load
from servers import PATIENCE_S, server_here, server_process

from inference_server import settings as inference
from web_gateway.inference import channel
from web_gateway.inference.tls_diagnosis import diagnose
from web_gateway.settings import Settings

HOSTS = ["localhost", "127.0.0.1"]
HELLO = {"text": "Once upon a time", "top_k": 3}
OLD, NEW = "the-old-token-of-the-two-tiers", "the-new-token-of-the-two-tiers"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What both tiers log."""
    monkeypatch.setattr(channel, "FILE_CHECK_INTERVAL_S", 0.05)
    with structlog.testing.capture_logs() as entries:
        yield entries


def certified(folder: Path, hosts: list[str] = HOSTS, days: float = 1) -> Path:
    """A folder with an authority, a server's and a client's certificates."""
    make_test_ca.write(folder, hosts, days)
    return folder


def shown_by_server(folder: Path, callers: Path | None = None) -> dict[str, Any]:
    """Settings of a server with a folder's certificate, which may ask for those of another folder's authority."""
    chosen = {"tls_cert": str(folder / "server.pem"), "tls_key": str(folder / "server.key")}
    return chosen | ({"tls_client_ca": str(callers / "ca.pem")} if callers else {})


def shown_by_gateway(trusted: Path, own: Path | None = None) -> dict[str, Any]:
    """Settings of a gateway that trusts one folder's authority and may show another folder's certificate."""
    pair = {"tls_client_cert": str(own / "client.pem"), "tls_client_key": str(own / "client.key")} if own else {}
    return {"tls_ca": str(trusted / "ca.pem")} | pair


@asynccontextmanager
async def tiers(server: dict[str, Any], gateway: dict[str, Any], age_s: float = 30) -> AsyncIterator[Any]:
    """Both tiers with a fake model."""
    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0, connection_age_s=age_s, **server)
    async with (
        server_here(chosen, fakes.fetch, lambda name, folder: fakes.FakeEngine()) as inference_server,
        gateway_here(f"localhost:{inference_server.port}", **gateway) as found,
    ):
        found.inference_port = inference_server.port
        yield found


def changes(logged: list[Any]) -> int:
    """How often a tier took changed files into use."""
    return len([entry for entry in logged if entry["event"] == "files reloaded"])


async def ready(web: httpx.AsyncClient) -> None:
    """Waits until the gateway can answer."""
    async with asyncio.timeout(PATIENCE_S):
        while (await web.get("/readyz")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_what_fits_gets_in(tmp_path: Path, logged: list[Any]) -> None:
    ours = certified(tmp_path)
    secret = tmp_path / "token"
    secret.write_text(f"{OLD}\n")
    server = shown_by_server(ours, callers=ours) | {"auth_token": OLD}
    gateway = shown_by_gateway(ours, own=ours) | {"auth_token_file": str(secret)}
    async with tiers(server, gateway) as found:
        await ready(found.web)
        assert (await found.web.post("/api/next-token", json=HELLO)).status_code == 200
    assert [entry["callers_need_one"] for entry in logged if entry["event"] == "certificate"] == [True]
    assert not [entry for entry in logged if OLD in str(entry)]


async def test_a_name_other_than_the_targets_can_be_expected(tmp_path: Path, logged: list[Any]) -> None:
    ours = certified(tmp_path, hosts=["models.example"])
    gateway = shown_by_gateway(ours) | {"tls_server_name": "models.example"}
    async with tiers(shown_by_server(ours), gateway) as found:
        await ready(found.web)


REFUSALS = {
    "wrong authority": "was not issued by a CA",
    "expired": "its certificate has expired",
    "wrong name": "is for another name",
    "no client certificate": "requires a client certificate",
    "a stranger's client certificate": "does not trust this gateway's certificate",
    "an expired client certificate": "NEXTTOKEN_TLS_CLIENT_CERT has expired",
    "no TLS here": "requires TLS",
    "no TLS there": "does not use TLS",
    "no token": "send the metadata authorization",
    "wrong token": "invalid token",
}


def misfits(case: str, ours: Path, theirs: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of a server and of a gateway that must not get in."""
    match case:
        case "wrong authority":
            return shown_by_server(theirs), shown_by_gateway(ours)
        case "expired":
            return shown_by_server(certified(ours, days=-1)), shown_by_gateway(ours)
        case "wrong name":
            return shown_by_server(certified(ours, hosts=["elsewhere.example", "10.1.2.3"])), shown_by_gateway(ours)
        case "no client certificate":
            return shown_by_server(ours, callers=ours), shown_by_gateway(ours)
        case "a stranger's client certificate":
            return shown_by_server(ours, callers=ours), shown_by_gateway(ours, own=theirs)
        case "an expired client certificate":
            return shown_by_server(ours, callers=theirs), shown_by_gateway(ours, own=certified(theirs, days=-1))
        case "no TLS here":
            return shown_by_server(ours), {}
        case "no TLS there":
            return {}, shown_by_gateway(ours)
        case "no token":
            return {"auth_token": NEW}, {}
        case _:
            return {"auth_token": NEW}, {"auth_token": OLD}


@pytest.mark.parametrize("case", REFUSALS)
async def test_what_does_not_fit_is_refused_in_words(case: str, tmp_path: Path, logged: list[Any]) -> None:
    server, gateway = misfits(case, certified(tmp_path / "ours"), certified(tmp_path / "theirs"))
    async with tiers(server, gateway) as found:
        async with asyncio.timeout(PATIENCE_S):  # the server has a model by now, and soon says so
            while "no model is ready" in (await found.web.get("/readyz")).text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        for answer in (await found.web.post("/api/next-token", json=HELLO), await found.web.get("/readyz")):
            assert REFUSALS[case] in problem(answer, 503, "unavailable")
    told = [entry for entry in logged if entry["log_level"] == "error" and REFUSALS[case] in entry.get("reason", "")]
    assert told, logged
    if "token" in case:
        assert [entry["reason"] for entry in logged if entry["event"] == "unauthenticated call"]
        assert not [entry for entry in logged if OLD in str(entry) or NEW in str(entry)]


def test_a_server_says_why_it_refused_a_connection(tmp_path: Path) -> None:
    ours = certified(tmp_path)
    env = {f"NEXTTOKEN_{name.upper()}": value for name, value in shown_by_server(ours, callers=ours).items()}
    with server_process(env) as server:
        gateway = Settings(
            inference_target=server.target.replace("127.0.0.1", "localhost"), tls_ca=str(ours / "ca.pem")
        )
        while REFUSALS["no client certificate"] not in str(diagnose(gateway)):
            assert server.process.poll() is None
        server.wait_for("certificate", callers_need_one=True)
        server.process.terminate()
        server.end()
        assert any("PEER_DID_NOT_RETURN_A_CERTIFICATE" in line for line in server.log)


async def test_certificates_change_under_load(tmp_path: Path, logged: list[Any]) -> None:
    """An authority goes and another one comes, step by step, as an operator would do it; no call is lost."""
    in_use, new = certified(tmp_path / "in use"), certified(tmp_path / "new")
    only_old = tmp_path / "old.pem"
    only_old.write_bytes((in_use / "ca.pem").read_bytes())
    both = only_old.read_bytes() + (new / "ca.pem").read_bytes()
    server = shown_by_server(in_use, callers=in_use)
    async with tiers(server, shown_by_gateway(in_use, own=in_use), age_s=0.3) as found:
        await ready(found.web)
        async with under_load(str(found.web.base_url)) as load:
            await load.more(20)
            steps = [
                [("ca.pem", both)],  # both tiers trust either
                [(name, (new / name).read_bytes()) for name in ("server.key", "server.pem")],
                [(name, (new / name).read_bytes()) for name in ("client.key", "client.pem")],
                [("ca.pem", (new / "ca.pem").read_bytes())],  # and now the new one alone
            ]
            for files in steps:
                renewed = changes(logged)
                for name, content in files:
                    make_test_ca.put(in_use / name, content)
                async with asyncio.timeout(PATIENCE_S):
                    while changes(logged) == renewed:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                await load.more(60)
        assert load.failures == []
        for trusted, status in ((new / "ca.pem", 200), (only_old, 503)):
            chosen = shown_by_gateway(new, own=new) | {"tls_ca": str(trusted)}
            async with gateway_here(f"localhost:{found.inference_port}", **chosen) as other:
                assert (await other.web.get("/readyz")).status_code == status


async def test_a_page_that_listens_notices_nothing_of_new_certificates(tmp_path: Path, logged: list[Any]) -> None:
    ours = certified(tmp_path)
    async with tiers(shown_by_server(ours, callers=ours), shown_by_gateway(ours, own=ours)) as found:
        await ready(found.web)
        async with found.web.stream("GET", "/api/models/events") as stream:
            lines = stream.aiter_lines()
            async with asyncio.timeout(PATIENCE_S):
                while not (await anext(lines)).startswith("event: models"):
                    pass
                watched = watches(logged)
                certified(ours)
                # The watch on the old line ends; one on the new line has begun.
                while watches(logged) == watched:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            found.app.state.feed.close()
            assert "event: unreachable" not in [line async for line in lines]


def watches(logged: list[Any]) -> int:
    """How many watches of the models the server has seen the end of."""
    return len([entry for entry in logged if entry.get("rpc") == "WatchModels"])


async def test_files_that_stop_making_sense_change_nothing(tmp_path: Path, logged: list[Any]) -> None:
    ours = certified(tmp_path)
    async with tiers(shown_by_server(ours), shown_by_gateway(ours), age_s=0.3) as found:
        await ready(found.web)
        async with under_load(str(found.web.base_url)) as load:
            (ours / "server.key").write_text("half a k")
            (ours / "ca.pem").unlink()
            await load.more(100)
        assert load.failures == []
    reasons = [entry["reason"] for entry in logged if entry["event"].startswith("reload failed")]
    assert any("NEXTTOKEN_TLS_KEY" in reason for reason in reasons)
    assert any("NEXTTOKEN_TLS_CA" in reason for reason in reasons)


async def test_a_token_changes_under_load(tmp_path: Path, logged: list[Any]) -> None:
    theirs, ours = tmp_path / "server", tmp_path / "gateway"
    theirs.write_text(OLD)
    ours.write_text(OLD)
    async with tiers({"auth_token_file": str(theirs)}, {"auth_token_file": str(ours)}) as found:
        await ready(found.web)
        async with under_load(str(found.web.base_url)) as load:
            for file, content in ((theirs, f"{OLD}\n{NEW}\n"), (ours, NEW), (theirs, NEW)):
                file.write_text(content)
                await asyncio.sleep(5 * channel.FILE_CHECK_INTERVAL_S)
                await load.more(30)
        assert load.failures == []
        async with gateway_here(f"localhost:{found.inference_port}", auth_token=OLD) as other:
            problem(await other.web.get("/readyz"), 503, "unavailable")
