"""Container health check: `python -m inference_server.ops.probe` exits with 0 if the server can answer, else 1.

Asks the gRPC health service or, when the server uses TLS, `/readyz` on the metrics port.
"""

import os
import sys
import urllib.error
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inference_server.settings import Settings
from service_kit.settings import read_or_exit

TIMEOUT_S = 5.0


def main() -> None:
    """Prints the reason if the server can't answer."""
    settings = read_or_exit(Settings, os.environ)
    fault = probe_http(settings) if settings.tls_cert else probe_grpc(settings)
    sys.exit(fault or 0)


def probe_grpc(settings: Settings) -> str:
    """Why the health service is not SERVING; empty if it is."""
    with grpc.insecure_channel(f"localhost:{settings.grpc_port}", [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            return f"no answer: {error.code().name}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def probe_http(settings: Settings) -> str:
    """Why `/readyz` does not answer 200; empty if it does."""
    if not settings.metrics_port:
        return "a server with TLS is probed on its metrics port: set NEXTTOKEN_METRICS_PORT"
    try:
        with urllib.request.urlopen(f"http://localhost:{settings.metrics_port}/readyz", timeout=TIMEOUT_S):
            return ""
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError as error:
        return f"no answer: {error}"


if __name__ == "__main__":
    main()
