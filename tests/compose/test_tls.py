"""The override for TLS: both tiers show certificates, and who shows none is not answered."""

import os
from collections.abc import Iterator

import grpc
import httpx
import make_test_ca
import pytest
from containers import GATEWAY, GRPC_PORT, SERVER, Stack, running
from nexttoken.v1 import next_token_pb2 as pb
from servers import stub_of

CONTAINERS_USER = 10001


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("certs")
    make_test_ca.write(folder, make_test_ca.HOSTS, days=1)
    folder.chmod(0o755)
    for name in ("server.key", "client.key"):
        os.chown(folder / name, CONTAINERS_USER, CONTAINERS_USER)
    with running("docker-compose.tls.yml", CERTS=str(folder)) as stack:
        yield stack


def test_the_tiers_meet_and_their_healthchecks_find_them_well(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, timeout=60) as web:
        answer = web.post("/api/next-token", json={"text": "Once", "model": "bundled"})
    assert answer.status_code == 200, answer.text
    for service in (SERVER, GATEWAY):
        (container,) = stack.containers(service)
        container.run(*container.inspect()["Config"]["Healthcheck"]["Test"][1:])


async def test_who_shows_no_certificate_is_not_answered(stack: Stack) -> None:
    (server,) = stack.containers()
    async with grpc.aio.insecure_channel(f"{server.address}:{GRPC_PORT}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub_of(channel).ListModels(pb.ListModelsRequest(), timeout=10)
    assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
