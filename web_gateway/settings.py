"""The web gateway's settings, read once from the environment."""

from typing import Annotated

from msgspec import Meta, Struct

from service_kit.logs import LogFormat, LogLevel
from service_kit.settings import HostName, Network, Origin


class Settings(Struct, frozen=True, kw_only=True):
    """Each field is read from NEXTTOKEN_<FIELD>; Meta has its range and description."""

    host: Annotated[str, Meta(description="address the page is served on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port of the page; 0: any free port")] = 5005
    inference_target: Annotated[
        str, Meta(min_length=1, description="gRPC target of the inference server (`dns:///host:port` for several)")
    ] = "localhost:50051"
    ray_application: Annotated[
        str,
        Meta(description="name of the Ray Serve application, if the target is Ray's gRPC proxies; empty: it is not"),
    ] = ""
    tls_ca: Annotated[
        str,
        Meta(
            description="PEM file with the authorities for the server's certificate; `public`: gRPC's; unset: plaintext"
        ),
    ] = ""
    tls_client_cert: Annotated[
        str, Meta(description="PEM file with the gateway's certificate, for servers that require one")
    ] = ""
    tls_client_key: Annotated[str, Meta(description="PEM file with its private key")] = ""
    tls_server_name: Annotated[
        str, Meta(description="name to expect in the server's certificate, if it differs from the target's")
    ] = ""
    auth_token: Annotated[str, Meta(description="token that the gateway sends and the inference server requires")] = ""
    auth_token_file: Annotated[
        str, Meta(description="file with that token; the server accepts each line, the gateway sends the first")
    ] = ""
    allow_plaintext: Annotated[bool, Meta(description="`1`: allow unencrypted gRPC beyond this machine")] = False
    timeout_s: Annotated[float, Meta(gt=0, le=600, description="maximum seconds per request, then 504")] = 30.0
    stream_s: Annotated[
        float, Meta(gt=0, le=600, description="maximum seconds per streamed answer, then an `error` event")
    ] = 600.0
    max_streams: Annotated[int, Meta(ge=1, description="maximum streamed answers at a time; more are refused")] = 64
    client_streams: Annotated[int, Meta(ge=1, description="maximum streamed answers at a time per client address")] = 16
    max_body_bytes: Annotated[int, Meta(ge=1, description="maximum length of a request body, in bytes")] = 1_100_000
    max_requests: Annotated[int, Meta(ge=1, description="maximum concurrent API requests; more are refused")] = 256
    max_connections: Annotated[
        int, Meta(ge=1, description="maximum open connections; more are closed. Each event stream holds one")
    ] = 900
    client_requests: Annotated[int, Meta(ge=1, description="maximum concurrent API requests per client address")] = 128
    client_connections: Annotated[
        int, Meta(ge=1, description="maximum open connections per client address; trusted proxies are exempt")
    ] = 300
    bodies_mb: Annotated[
        int, Meta(ge=1, description="memory for long request bodies, in MiB; one client may use an eighth of it")
    ] = 32
    rate_per_s: Annotated[
        int, Meta(ge=0, le=100_000, description="API requests per second and client; 0: unlimited")
    ] = 0
    rate_burst: Annotated[
        int, Meta(ge=1, le=100_000, description="API requests that an idle client may send at once")
    ] = 40
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(description="addresses or networks of proxies whose X-Forwarded-For is trusted, comma-separated"),
    ] = ()
    trusted_hosts: Annotated[
        tuple[HostName, ...],
        Meta(
            description="host names to answer to, `*.example.org` for subdomains, `*` for any; empty: any, on loopback"
            " only `localhost`, `127.0.0.1` and `[::1]`"
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[Origin, ...],
        Meta(description="origins whose pages may call the API, such as `https://example.org`; empty: none"),
    ] = ()
    frame_origins: Annotated[
        tuple[Origin, ...],
        Meta(description="origins whose pages may show this page in a frame; empty: none"),
    ] = ()
    openai_api: Annotated[
        bool, Meta(description="serve the OpenAI-compatible API (`/v1/…`, `/tokenize`, …); `0`: not")
    ] = True
    api_keys_file: Annotated[
        str, Meta(description="file with the keys for the OpenAI-compatible API, one per line; empty: none needed")
    ] = ""
    grace_s: Annotated[
        float, Meta(ge=0, description="seconds that requests in flight may take after a stop signal")
    ] = 10.0
    log_format: Annotated[LogFormat, Meta(description="`auto`, `text` or `json`")] = "auto"
    log_level: Annotated[LogLevel, Meta(description="`debug`, `info`, `warning` or `error`")] = "info"
