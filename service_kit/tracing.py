"""Spans of both services, sent to a collector over OTLP where one is configured; off, nothing is even imported.

The variables are OpenTelemetry's own: OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) switches tracing on; headers,
certificates, sampling and the resource's attributes come from the others the SDK reads.
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
LAST_WORDS_MS = 2000  # for what is not sent yet at a stop

NOTHING: AbstractContextManager[None] = nullcontext()

Kind = Literal["SERVER", "CLIENT", "INTERNAL"]

_provider: "TracerProvider | None" = None


def start(service: str, environment: Mapping[str, str]) -> bool:
    """Switches tracing on where an endpoint is set; says whether. Raises SettingsError where it can't be."""
    global _provider
    named = next((name for name in ENDPOINTS if environment.get(name, "").strip()), None)
    if named is None or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if not environment[named].strip().startswith(("http://", "https://")):
        raise SettingsError(f"{named}={environment[named]!r}: Expected a URL such as http://collector:4318")
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
    """Sends what is left, for as long as may be, and switches tracing off."""
    global _provider
    if _provider is not None:
        provider, _provider = _provider, None
        ending = threading.Thread(target=provider.shutdown, daemon=True)  # it sends what is left, and knows no limit
        ending.start()
        ending.join(LAST_WORDS_MS / 1000)


def span(
    name: str, kind: Kind = "INTERNAL", carrier: Mapping[str, str] | None = None, **attributes: Any
) -> AbstractContextManager[Any]:
    """What happens inside, as a span; entering gives the span, or None while tracing is off.

    With a carrier it continues the trace that the carrier's traceparent names, else that of the span around it.
    """
    return NOTHING if _provider is None else _span(_provider, name, kind, carrier, attributes)


def phase(name: str, started: float, ended: float, **attributes: Any) -> None:
    """A span for something that is over; times on the monotonic clock, in seconds."""
    if _provider is not None:
        offset = time.time() - time.monotonic()
        begun = _provider.get_tracer("nexttoken").start_span(
            name, attributes=attributes, start_time=int((started + offset) * 1e9)
        )
        begun.end(int((ended + offset) * 1e9))


def carried() -> tuple[tuple[str, str], ...]:
    """What tells the next service of the span around this call; empty while tracing is off."""
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
    # Exceptions are not recorded: their words and frames may hold what users wrote.
    with use_span(begun, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield begun


def failed(span: Any, fault: str) -> None:
    """Marks a span as failed, in a word such as a status code; nothing where there is no span."""
    if span is not None:
        from opentelemetry.trace import Status, StatusCode

        span.set_status(Status(StatusCode.ERROR, fault))
