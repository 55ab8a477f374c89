"""OpenTelemetry tracing over OTLP; when off, OpenTelemetry is not even imported.

OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) turns it on; the SDK reads OpenTelemetry's other variables itself.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from service_kit.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
KEYS = ("traceparent", "tracestate")  # W3C Trace Context, in HTTP headers and in gRPC metadata
LAST_WORDS_MS = 2000  # to send remaining spans at shutdown

NOTHING: AbstractContextManager[None] = nullcontext()

Kind = Literal["SERVER", "CLIENT", "INTERNAL"]

_provider: "TracerProvider | None" = None


def start(service: str, environment: Mapping[str, str]) -> bool:
    """Turns tracing on if an endpoint is set; returns whether. Raises SettingsError."""
    global _provider
    named = next((name for name in ENDPOINTS if environment.get(name, "").strip()), None)
    if named is None or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if not environment[named].strip().startswith(("http://", "https://")):
        raise SettingsError(f"{named}={environment[named]!r}: must be a URL such as http://collector:4318")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"{named} is set, but OpenTelemetry is not installed; install the extra `tracing` or unset it"
        ) from error
    _provider = TracerProvider(
        resource=Resource.create({"service.name": environment.get("OTEL_SERVICE_NAME") or service})
    )
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return True


def stop() -> None:
    """Sends remaining spans, for at most LAST_WORDS_MS, and turns tracing off."""
    global _provider
    if _provider is not None:
        provider, _provider = _provider, None
        flush = threading.Thread(target=provider.shutdown, daemon=True)  # has no timeout of its own
        flush.start()
        flush.join(LAST_WORDS_MS / 1000)


def span(
    name: str, kind: Kind = "INTERNAL", carrier: Mapping[str, str] | None = None, **attributes: Any
) -> AbstractContextManager[Any]:
    """A context manager that yields a span, or None while tracing is off.

    With a carrier it continues the trace in its traceparent, otherwise the current one.
    """
    return NOTHING if _provider is None else _span(_provider, name, kind, carrier, attributes)


def phase(name: str, started: float, ended: float, **attributes: Any) -> None:
    """Records a span that has ended; times in time.monotonic seconds."""
    if _provider is not None:
        offset = time.time() - time.monotonic()
        begun = _provider.get_tracer("nexttoken").start_span(
            name, attributes=attributes, start_time=int((started + offset) * 1e9)
        )
        begun.end(int((ended + offset) * 1e9))


def carried() -> tuple[tuple[str, str], ...]:
    """Metadata that passes the current span on to the next service; empty while tracing is off."""
    if _provider is None:
        return ()
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return tuple((key, carrier[key]) for key in KEYS if key in carrier)


@contextmanager
def _span(
    provider: "TracerProvider", name: str, kind: Kind, carrier: Mapping[str, str] | None, attributes: dict[str, Any]
) -> Iterator[Any]:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind, use_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = None
    if carrier is not None:
        named = {key: carrier[key] for key in KEYS if key in carrier}
        context = TraceContextTextMapPropagator().extract(named, Context())
    begun = provider.get_tracer("nexttoken").start_span(name, context, SpanKind[kind], attributes)
    # Exceptions are not recorded: they may contain users' text.
    with use_span(begun, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield begun


def failed(span: Any, fault: str) -> None:
    """Marks a span as failed, with a status code or the like."""
    if span is not None:
        from opentelemetry.trace import Status, StatusCode

        span.set_status(Status(StatusCode.ERROR, fault))
