"""Asks the server of this machine whether it can answer: `python -m inference_server.probe` ends with 0 if so, else 1.

For a container's healthcheck. Knows the health service, the operators' port and the settings, nothing else.
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
    if settings.tls_cert:
        ask_operators_port(settings)
        return
    with grpc.insecure_channel(f"localhost:{settings.grpc_port}", [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=WITHIN_S)
        except grpc.RpcError as error:
            sys.exit(f"no answer: {error.code().name}")
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    sys.stderr.write(f"{status}\n")
    sys.exit(answer.status != health_pb2.HealthCheckResponse.SERVING)


def ask_operators_port(settings: Settings) -> None:
    """The same where gRPC wants a certificate, which a probe has none of."""
    if settings.metrics_port is None:
        sys.exit("under TLS this asks the port for operators: set NEXTTOKEN_METRICS_PORT")
    try:
        with urllib.request.urlopen(f"http://localhost:{settings.metrics_port}/readyz", timeout=WITHIN_S):
            sys.stderr.write("SERVING\n")
    except urllib.error.HTTPError as error:
        sys.exit(f"NOT_SERVING: {error.read().decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"no answer: {error}")


if __name__ == "__main__":
    main()
