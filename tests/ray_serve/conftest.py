"""One Ray cluster for all tests of this folder; `make e2e-ray` installs what it needs."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from gateways import gateway_here
from load import Load, under_load
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc
from ray_serve.cluster import APPLICATION, SESSIONS, SETTINGS, SMALL, RayCluster, ray_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    """A node with two replicas."""
    with ray_cluster() as cluster:
        cluster.deploy(SETTINGS, **SMALL, num_replicas=2, autoscaling_config=None)
        yield cluster


@pytest.fixture(scope="session")
def stub(cluster: RayCluster) -> Iterator[Any]:
    """A caller of Ray's proxy, without a gateway."""
    with grpc.insecure_channel(f"127.0.0.1:{cluster.grpc_port}") as channel:
        yield pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]  # generated


@pytest_asyncio.fixture
async def gateway(cluster: RayCluster) -> AsyncIterator[Any]:
    """In front of the proxies of two nodes, of which one may not be there."""
    target = f"ipv4:127.0.0.1:{cluster.grpc_port},127.0.0.1:{cluster.second_port}"
    async with gateway_here(target, ray_application=APPLICATION) as gateway:
        yield gateway


@pytest_asyncio.fixture
async def load(gateway: Any) -> AsyncIterator[Load]:
    """Readers, none of whose questions may fail."""
    async with under_load(str(gateway.web.base_url), SESSIONS, pause_s=1.0) as running:
        await running.round()
        yield running
        assert running.failures == []
