"""The web gateway's settings, read once from the environment."""

from typing import Annotated

from msgspec import Meta, Struct

from service_kit.logs import LogFormat, LogLevel


class Settings(Struct, frozen=True, kw_only=True):
    """Each field is the variable NEXTTOKEN_<FIELD>; its Meta holds range and meaning."""

    host: Annotated[str, Meta(description="address the page is served on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port of the page; 0 picks a free one")] = 5005
    inference_target: Annotated[
        str, Meta(min_length=1, description="the gateway's gRPC target (`dns:///host:port` for several)")
    ] = "localhost:50051"
    timeout_s: Annotated[float, Meta(gt=0, le=600, description="seconds a request may take before 504")] = 30.0
    max_body_bytes: Annotated[int, Meta(ge=1, description="longest request body, in bytes")] = 1_100_000
    grace_s: Annotated[float, Meta(ge=0, description="seconds that work in flight may take at a stop")] = 10.0
    log_format: Annotated[LogFormat, Meta(description="`auto`, `text` or `json`")] = "auto"
    log_level: Annotated[LogLevel, Meta(description="`debug`, `info`, `warning` or `error`")] = "info"
