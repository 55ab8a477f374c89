"""The web gateway's settings, read once from the environment."""

from typing import Annotated

from msgspec import Meta, Struct

from service_kit.logs import LogFormat, LogLevel
from service_kit.settings import HostName, Network, Origin


class Settings(Struct, frozen=True, kw_only=True):
    """Each field is the variable NEXTTOKEN_<FIELD>; its Meta holds range and meaning."""

    host: Annotated[str, Meta(description="address the page is served on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port of the page; 0 picks a free one")] = 5005
    inference_target: Annotated[
        str, Meta(min_length=1, description="the gateway's gRPC target (`dns:///host:port` for several)")
    ] = "localhost:50051"
    tls_ca: Annotated[
        str,
        Meta(
            description="PEM file of the authorities the inference server's certificate must come from; `public`: those"
            " gRPC knows; unset: plaintext"
        ),
    ] = ""
    tls_client_cert: Annotated[str, Meta(description="PEM file of the gateway's certificate, for servers that ask")] = (
        ""
    )
    tls_client_key: Annotated[str, Meta(description="PEM file of the gateway's key")] = ""
    tls_server_name: Annotated[
        str, Meta(description="name the server's certificate must hold, where it is not the target's")
    ] = ""
    auth_token: Annotated[str, Meta(description="secret that the gateway shows and the inference server asks for")] = ""
    auth_token_file: Annotated[
        str, Meta(description="file of that secret; the server accepts each line, the gateway shows the first")
    ] = ""
    allow_plaintext: Annotated[
        bool, Meta(description="`1`: gRPC between the tiers may go unencrypted beyond this machine")
    ] = False
    timeout_s: Annotated[float, Meta(gt=0, le=600, description="seconds a request may take before 504")] = 30.0
    max_body_bytes: Annotated[int, Meta(ge=1, description="longest request body, in bytes")] = 1_100_000
    max_requests: Annotated[
        int, Meta(ge=1, description="requests of the API at work at once before new ones are refused")
    ] = 256
    max_connections: Annotated[
        int, Meta(ge=1, description="open connections before new ones are closed; event streams hold one each")
    ] = 900
    client_requests: Annotated[
        int, Meta(ge=1, description="requests of the API that one client may have at work, told by its address")
    ] = 128
    client_connections: Annotated[
        int, Meta(ge=1, description="connections that one client may hold open; a trusted proxy may hold all")
    ] = 300
    bodies_mb: Annotated[
        int, Meta(ge=1, description="memory for long request bodies, in MiB; one client may fill a quarter of it")
    ] = 32
    rate_per_s: Annotated[
        int, Meta(ge=0, le=100_000, description="requests a second that one client may send to the API; 0: any number")
    ] = 0
    rate_burst: Annotated[
        int, Meta(ge=1, le=100_000, description="requests that a client which was quiet may send at once")
    ] = 40
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(description="addresses or networks of proxies whose X-Forwarded-For is believed, comma-separated"),
    ] = ()
    trusted_hosts: Annotated[
        tuple[HostName, ...],
        Meta(
            description="names this server answers under, `*.example.org` for all below, `*` for any; empty: any, on"
            " loopback only `localhost`, `127.0.0.1` and `[::1]`"
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[Origin, ...],
        Meta(description="origins whose pages may call the API, such as `https://example.org`; empty: none"),
    ] = ()
    grace_s: Annotated[float, Meta(ge=0, description="seconds that work in flight may take at a stop")] = 10.0
    log_format: Annotated[LogFormat, Meta(description="`auto`, `text` or `json`")] = "auto"
    log_level: Annotated[LogLevel, Meta(description="`debug`, `info`, `warning` or `error`")] = "info"
