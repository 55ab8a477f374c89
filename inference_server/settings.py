"""The inference server's settings, read once from the environment."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from service_kit.logs import LogFormat, LogLevel


class Settings(Struct, frozen=True, kw_only=True):
    """Each field is the variable NEXTTOKEN_<FIELD>; its Meta holds range and meaning."""

    model: Annotated[
        str, Meta(description="default model: `owner/name` or `owner/name@revision` of the Hub, folder, or `bundled`")
    ] = "HuggingFaceTB/SmolLM2-360M-Instruct"
    models: Annotated[tuple[str, ...], Meta(description="further models that may be used, comma-separated")] = ()
    ready_when: Annotated[
        Literal["any", "default"],
        Meta(description="health is SERVING once `any` model, or only once the `default` model, can answer"),
    ] = "any"
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Meta(description="where models compute: `auto`, `cpu`, `cuda`, `mps`")
    ] = "auto"
    grpc_host: Annotated[str, Meta(description="address the inference server listens on")] = "127.0.0.1"
    grpc_port: Annotated[int, Meta(ge=0, le=65535, description="port of the inference server; 0 picks a free one")] = (
        50051
    )
    connection_age_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86400,
            description="seconds until a connection is renewed, so that new replicas are found; 0: never",
        ),
    ] = 30.0
    tls_cert: Annotated[str, Meta(description="PEM file of the inference server's certificate; unset: plaintext")] = ""
    tls_key: Annotated[str, Meta(description="PEM file of that certificate's key")] = ""
    tls_client_ca: Annotated[
        str,
        Meta(description="PEM file of the authorities that callers' certificates must come from; unset: any caller"),
    ] = ""
    auth_token: Annotated[str, Meta(description="secret that the gateway shows and the inference server asks for")] = ""
    auth_token_file: Annotated[
        str, Meta(description="file of that secret; the server accepts each line, the gateway shows the first")
    ] = ""
    allow_plaintext: Annotated[
        bool, Meta(description="`1`: gRPC between the tiers may go unencrypted beyond this machine")
    ] = False
    metrics_host: Annotated[str, Meta(description="address of the port for metrics and probes")] = "127.0.0.1"
    metrics_port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | None,
        Meta(description="port for metrics and probes; 0 picks a free one, empty: none"),
    ] = None
    stall_s: Annotated[
        float,
        Meta(gt=0, description="seconds for one step of the model thread; then readiness goes off until it moves"),
    ] = 60.0
    queue_limit: Annotated[int, Meta(ge=1, le=10_000, description="requests in flight before new ones are refused")] = (
        64
    )
    client_share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="part of the queue that one address may fill, and of that one session; at least one request",
        ),
    ] = 0.5
    batch_size: Annotated[int, Meta(ge=1, le=256, description="most requests in one forward pass")] = 16
    batch_tokens: Annotated[int, Meta(ge=1, description="most tokens in one forward pass of several requests")] = 4096
    step_tokens: Annotated[
        int, Meta(ge=1, description="most tokens of longer prompts computed in a row; what waits goes between")
    ] = 512
    step_ms: Annotated[
        float,
        Meta(
            gt=0,
            description="about how long that may take at most, in milliseconds: fewer tokens where more take longer",
        ),
    ] = 300.0
    lookahead: Annotated[
        int, Meta(ge=0, le=100, description="likeliest next tokens computed before they are asked for; 0: none")
    ] = 10
    cache_mb: Annotated[
        int,
        Meta(
            ge=0,
            description="memory for kept distributions, keys and values of all models, in MiB; at most half of what is"
            " free at the start",
        ),
    ] = 2048
    max_text_bytes: Annotated[int, Meta(ge=1, description="longest text of a request, in UTF-8 bytes")] = 1_000_000
    drain_s: Annotated[float, Meta(ge=0, description="seconds of service after health says NOT_SERVING")] = 0.5
    grace_s: Annotated[float, Meta(ge=0, description="seconds that work in flight may take at a stop")] = 10.0
    log_format: Annotated[LogFormat, Meta(description="`auto`, `text` or `json`")] = "auto"
    log_level: Annotated[LogLevel, Meta(description="`debug`, `info`, `warning` or `error`")] = "info"
    log_text: Annotated[bool, Meta(description="`true`: write the prompts of calls into the log too")] = False
