"""The inference server's settings."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from service_kit.logs import LogFormat, LogLevel


class Settings(Struct, frozen=True, kw_only=True):
    """Read from NEXTTOKEN_<FIELD>."""

    model: Annotated[
        str,
        Meta(
            description="default model: Hub id (`owner/name` or `owner/name@revision`), local folder, GGUF file (a "
            "path or `owner/name:file.gguf`), or `bundled`"
        ),
    ] = "HuggingFaceTB/SmolLM2-360M-Instruct"
    models: Annotated[
        tuple[str, ...],
        Meta(description="other models that may be used, comma-separated; `base + adapter` is one with a LoRA adapter"),
    ] = ()
    ready_when: Annotated[
        Literal["any", "default"],
        Meta(description="health is SERVING once `any` model is ready, or only once the `default` model is"),
    ] = "any"
    device: Annotated[
        Literal["auto", "cpu", "cuda", "cuda:all", "mps"],
        Meta(description="device for the models: `auto`, `cpu`, `cuda`, `cuda:all` (spread over all GPUs), `mps`"),
    ] = "auto"
    grpc_host: Annotated[str, Meta(description="address the inference server listens on")] = "127.0.0.1"
    grpc_port: Annotated[int, Meta(ge=0, le=65535, description="port of the inference server; 0: any free port")] = (
        50051
    )
    connection_age_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86400,
            description="maximum age of a connection in seconds, so that clients find new replicas; 0: unlimited",
        ),
    ] = 30.0
    tls_cert: Annotated[str, Meta(description="PEM file with the inference server's certificate; unset: plaintext")] = (
        ""
    )
    tls_key: Annotated[str, Meta(description="PEM file with the certificate's private key")] = ""
    tls_client_ca: Annotated[
        str,
        Meta(description="PEM file with the authorities for client certificates; unset: none required"),
    ] = ""
    auth_token: Annotated[str, Meta(description="token that the gateway sends and the inference server requires")] = ""
    auth_token_file: Annotated[
        str, Meta(description="file with that token; the server accepts each line, the gateway sends the first")
    ] = ""
    allow_plaintext: Annotated[bool, Meta(description="`1`: allow unencrypted gRPC beyond this machine")] = False
    metrics_host: Annotated[str, Meta(description="address of the port for metrics and probes")] = "127.0.0.1"
    metrics_port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | None,
        Meta(description="port for metrics and probes; 0: any free port, empty: none"),
    ] = None
    stall_s: Annotated[
        float,
        Meta(
            gt=0,
            description="seconds without a finished step before the server reports itself stuck and not ready",
        ),
    ] = 60.0
    queue_limit: Annotated[int, Meta(ge=1, le=10_000, description="maximum requests in flight; more are refused")] = 64
    client_share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="part of the queue that one address may fill, and one session of that; at least one request",
        ),
    ] = 0.5
    batch_size: Annotated[int, Meta(ge=1, le=256, description="maximum requests per forward pass")] = 16
    batch_tokens: Annotated[int, Meta(ge=1, description="maximum tokens per forward pass of several requests")] = 4096
    step_tokens: Annotated[int, Meta(ge=1, description="maximum tokens per prefill chunk")] = 512
    step_ms: Annotated[
        float,
        Meta(
            gt=0,
            description="target time per prefill chunk in milliseconds; slow models get smaller chunks",
        ),
    ] = 300.0
    lookahead: Annotated[
        int, Meta(ge=0, le=100, description="number of likely next tokens to prefetch after an answer; 0: off")
    ] = 10
    cache_mb: Annotated[
        int,
        Meta(
            ge=0,
            description="cache memory for all models, in MiB; at most half of what is free at start-up",
        ),
    ] = 2048
    max_text_bytes: Annotated[int, Meta(ge=1, description="maximum length of a request's text, in bytes of UTF-8")] = (
        1_000_000
    )
    influence_units: Annotated[
        int, Meta(ge=1, le=65536, description="maximum parts of a prompt that one influence request measures")
    ] = 1024
    influence_tokens: Annotated[
        int,
        Meta(ge=1, le=2**31 - 1, description="maximum tokens of edited prompts that one influence request computes"),
    ] = 65536
    drain_s: Annotated[float, Meta(ge=0, description="seconds to keep serving after health says NOT_SERVING")] = 0.5
    grace_s: Annotated[
        float, Meta(ge=0, description="seconds that requests in flight may take after a stop signal")
    ] = 10.0
    log_format: Annotated[LogFormat, Meta(description="`auto`, `text` or `json`")] = "auto"
    log_level: Annotated[LogLevel, Meta(description="`debug`, `info`, `warning` or `error`")] = "info"
    log_text: Annotated[bool, Meta(description="`true`: log prompts too")] = False
