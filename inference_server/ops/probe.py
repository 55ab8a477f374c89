"""Asks this machine's server whether it can answer: `python -m inference_server.ops.probe` exits with 0 if so, else 1.

For a container's healthcheck. It asks over gRPC; where that is encrypted a probe has no certificate to show, and asks
the port for probes.
"""

import os
import sys
import urllib.error
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inference_server.settings import Settings
from service_kit.settings import read_or_exit

WITHIN_S = 5.0


def main() -> None:
    """Says on standard error what it found."""
    settings = read_or_exit(Settings, os.environ)
    fault = asked_over_http(settings) if settings.tls_cert else asked_over_grpc(settings)
    sys.exit(fault or 0)


def asked_over_grpc(settings: Settings) -> str:
    """What the health service says; empty: SERVING."""
    with grpc.insecure_channel(f"localhost:{settings.grpc_port}", [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=WITHIN_S)
        except grpc.RpcError as error:
            return f"no answer: {error.code().name}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def asked_over_http(settings: Settings) -> str:
    """What the probe for readiness says; empty: ready."""
    if not settings.metrics_port:
        return "over TLS only the port for probes can be asked: set NEXTTOKEN_METRICS_PORT"
    try:
        with urllib.request.urlopen(f"http://localhost:{settings.metrics_port}/readyz", timeout=WITHIN_S):
            return ""
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError as error:
        return f"no answer: {error}"


if __name__ == "__main__":
    main()
