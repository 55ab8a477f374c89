"""Limits by host, origin, rate and concurrency, as ASGI middleware."""

import math
import time
from collections import OrderedDict
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from throttled import MemoryStore, RateLimiterType, Throttled, rate_limiter
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service_kit.hosts import answers_to, by_address
from web_gateway import errors
from web_gateway.http.client_address import visitor_of
from web_gateway.http.shares import Refused, Shares
from web_gateway.settings import Settings

CLIENTS = 10_000  # tracked; the least recently seen is dropped first
PROBED = frozenset({"/healthz", "/startupz", "/readyz", "/metrics"})  # often requested by address instead of name
ASK_AGAIN_S = 1.0  # Retry-After when the gateway or the inference server is at capacity
NOT_MEANT = (
    "This server does not answer under the name in the Host header; its operator lists names in"
    " NEXTTOKEN_TRUSTED_HOSTS."
)
FULL, _ = errors.ANSWERS[errors.Overloaded]
STAINLESS: tuple[str, ...] = ("arch", "async", "helper-method", "lang", "os", "package-version", "poll-helper")
STAINLESS += ("raw-response", "read-timeout", "retry-count", "runtime", "runtime-version", "timeout")
ALLOWED = (  # headers that pages of other origins may send; the last ones are those of the openai package
    *("content-type", "x-request-id", "x-session", "traceparent", "authorization"),
    *("idempotency-key", "openai-beta", "openai-organization", "openai-project", "user-agent"),
    *(f"x-stainless-{name}" for name in STAINLESS),
)
EXPOSED = ("retry-after", "x-request-id", "x-ignored-fields")  # headers readable across origins


def surroundings(settings: Settings, refused: Refused) -> list[Middleware]:
    """Middleware for host and origin checks, outermost first."""
    around = [Middleware(TrustedHosts, bound=settings.host, names=settings.trusted_hosts, refused=refused)]
    if settings.cors_origins:
        around.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "POST"),
                allow_headers=ALLOWED,
                expose_headers=EXPOSED,
            )
        )
    return around


def believe(settings: Settings) -> list[Middleware]:
    """Middleware that takes client address and scheme from a trusted proxy's X-Forwarded-For and -Proto."""
    proxies = [str(network) for network in settings.trusted_proxies]
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)] if proxies else []


class TrustedHosts:
    """Rejects requests for other host names, against DNS rebinding.

    If host names are configured, probes and metrics are also answered by address.
    """

    def __init__(self, app: ASGIApp, bound: str, names: Sequence[str], refused: Refused) -> None:
        self.app = app
        self.bound = bound
        self.names = names
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._meant(Headers(scope=scope).get("host", ""), scope["path"]):
            await self.app(scope, receive, send)
            return
        self.refused("host")
        await errors.respond_to(errors.WrongHost(NOT_MEANT))(scope, receive, send)

    def _meant(self, host: str, path: str) -> bool:
        probed = path in PROBED and bool(self.names) and by_address(host)
        return probed or answers_to(host, self.bound, self.names)


class RequestGate:
    """Limits requests in flight, in total and per client, and the request rate per client."""

    def __init__(self, settings: Settings, refused: Refused) -> None:
        self.places = Shares("requests", settings.max_requests, settings.client_requests, refused)
        self.refused = refused
        self.rates = rates(settings) if settings.rate_per_s else None

    def in_time(self, app: ASGIApp) -> ASGIApp:
        """Wraps the app with the rate limit. Raises RateLimited."""

        async def timed(scope: Scope, receive: Receive, send: Send) -> None:
            if self.rates is not None and (answer := self.rates.limit(client_of(scope))).limited:
                self.refused("rate")
                wait_s = answer.state.retry_after
                words = f"More requests than one client may send; try again in {math.ceil(wait_s)} s."
                raise errors.RateLimited(words, wait_s)
            await app(scope, receive, send)

        return timed

    def through(self, app: ASGIApp) -> ASGIApp:
        """Wraps the app with the limit on requests in flight. Raises Overloaded."""
        return placed(app, self.places, "The server is at capacity; try again in a second.")


class StreamGate:
    """Limits streamed answers, in total and per client."""

    def __init__(self, settings: Settings, refused: Refused) -> None:
        self.places = Shares("streams", settings.max_streams, settings.client_streams, refused)

    def through(self, app: ASGIApp) -> ASGIApp:
        """Wraps the app. Raises Overloaded."""
        return placed(app, self.places, "Too many answers are being streamed; try again when one has ended.")


def placed(app: ASGIApp, places: Shares, words: str) -> ASGIApp:
    """The app, each of whose requests takes one of these places until it ends. Raises Overloaded."""

    async def holding(scope: Scope, receive: Receive, send: Send) -> None:
        client = client_of(scope)
        if not places.take(client):
            raise errors.Overloaded(words, ASK_AGAIN_S)
        try:
            await app(scope, receive, send)
        finally:
            places.give(client)

    return holding


class Patience:
    """Enforces Retry-After: a session that got 429 is rejected here for one second, the shortest Retry-After.

    So early retries don't cost the overloaded inference server anything.
    """

    def __init__(self, refused: Refused) -> None:
        self.refused = refused
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def through(self, app: ASGIApp) -> ASGIApp:
        """Wraps the app."""

        async def patient(scope: Scope, receive: Receive, send: Send) -> None:
            name: str | None = scope["state"]["call"].session
            if name is None:
                await app(scope, receive, send)
                return
            session = client_of(scope), name

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] == FULL:
                    self._told(session)
                await send(message)

            self._check(session)
            await app(scope, receive, watched)

        return patient

    def _check(self, session: tuple[str, str]) -> None:
        if (wait_s := self._until.get(session, 0.0) - time.monotonic()) > 0:
            self.refused("early")
            raise errors.Overloaded("This server was full a moment ago; try again when it said.", wait_s)

    def _told(self, session: tuple[str, str]) -> None:
        self._until[session] = time.monotonic() + ASK_AGAIN_S
        self._until.move_to_end(session)
        if len(self._until) > CLIENTS:
            self._until.popitem(last=False)


def rates(settings: Settings) -> Throttled:
    """A token bucket per client. GCRA has sub-second resolution."""
    quota = rate_limiter.per_sec(settings.rate_per_s, burst=settings.rate_burst)
    store = MemoryStore(options={"MAX_SIZE": CLIENTS})
    return Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store)


def client_of(scope: Scope) -> str:
    """The client, by address; behind an untrusted proxy, the proxy."""
    return visitor_of(scope)
