"""Who may ask, from where, and how much at once. Plain ASGI and the settings; knows no route and no handler."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from throttled import MemoryStore, RateLimiterType, Throttled, rate_limiter
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from web_gateway import errors
from web_gateway.settings import Settings

CLIENTS = 10_000  # addresses whose rates are remembered; the one that was quiet longest is forgotten first
PREFIX_V6 = 64  # bits: one household or machine has that many addresses for itself
PROBED = frozenset({"/healthz", "/startupz", "/readyz", "/metrics"})  # asked by address, not by name
ASK_AGAIN_S = 1.0  # after the gateway or the inference server was full
FULL, _ = errors.ANSWERS[errors.Overloaded]
EXPOSED = ("retry-after", "x-request-id")  # headers that pages of other origins may read

Refused = Callable[[str], object]
"""Told why a request was refused, in one word."""


def surroundings(settings: Settings, refused: Refused) -> list[Middleware]:
    """What the settings ask for around the app, the outermost first."""
    around = []
    if settings.trusted_hosts:
        around.append(Middleware(TrustedHosts, names=settings.trusted_hosts, refused=refused))
    if settings.cors_origins:
        around.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "POST"),
                allow_headers=("content-type", "x-request-id", "x-session", "traceparent"),
                expose_headers=EXPOSED,
            )
        )
    return around


def believe(settings: Settings) -> list[Middleware]:
    """Takes the client's address and scheme from X-Forwarded-For and -Proto, where a trusted proxy wrote them."""
    proxies = [str(network) for network in settings.trusted_proxies]
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)] if proxies else []


class TrustedHosts:
    """Refuses requests meant for a name that is not listed: a page elsewhere that lets its own name point here."""

    def __init__(self, app: ASGIApp, names: Sequence[str], refused: Refused) -> None:
        self.app = app
        self.names = frozenset(name.lower() for name in names)
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBED or self._listed(Headers(scope=scope).get("host", "")):
            await self.app(scope, receive, send)
            return
        self.refused("host")
        words = "This server does not answer under the name in the Host header; its operator lists those it does."
        await errors.respond_to(errors.WrongHost(words))(scope, receive, send)

    def _listed(self, host: str) -> bool:
        name = host.lower()
        if not name.endswith("]"):  # an IPv6 address without a port
            name = name.rpartition(":")[0] or name
        above = name.partition(".")[2]
        return name in self.names or f"*.{above}" in self.names


class Gate:
    """Bounds the requests at work at once, and how many a second one client may send. Full or fast: Overloaded."""

    def __init__(self, settings: Settings, refused: Refused) -> None:
        self.at_work = 0
        self.most = settings.max_requests
        self.refused = refused
        self.rates = rates(settings) if settings.rate_per_s else None

    def through(self, app: ASGIApp) -> ASGIApp:
        """The app behind this gate."""

        async def gated(scope: Scope, receive: Receive, send: Send) -> None:
            self._check(client_of(scope))
            self.at_work += 1
            try:
                await app(scope, receive, send)
            finally:
                self.at_work -= 1

        return gated

    def _check(self, client: str) -> None:
        if self.at_work >= self.most:
            self.refused("requests")
            raise errors.Overloaded("This server answers as many requests as it may at once; try again.", ASK_AGAIN_S)
        if self.rates is not None and (answer := self.rates.limit(client)).limited:
            self.refused("rate")
            wait_s = answer.state.retry_after
            words = f"More requests than one client may send; try again in {math.ceil(wait_s)} s."
            raise errors.RateLimited(words, wait_s)


class Patience:
    """Holds sessions to what they were told: one that was refused for want of room is not let in again for a second,
    the shortest time that Retry-After can name.

    Its next refusal then costs the inference server nothing, which needs the time for those it has let in.
    """

    def __init__(self, refused: Refused) -> None:
        self.refused = refused
        self._until: OrderedDict[str, float] = OrderedDict()

    def through(self, app: ASGIApp) -> ASGIApp:
        """The app behind this."""

        async def patient(scope: Scope, receive: Receive, send: Send) -> None:
            session: str | None = scope["state"]["call"].session
            if session is None:
                await app(scope, receive, send)
                return

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] == FULL:
                    self._told(session)
                await send(message)

            self._check(session)
            await app(scope, receive, watched)

        return patient

    def _check(self, session: str) -> None:
        if (wait_s := self._until.get(session, 0.0) - time.monotonic()) > 0:
            self.refused("early")
            raise errors.Overloaded("This server was full a moment ago; try again when it said.", wait_s)

    def _told(self, session: str) -> None:
        self._until[session] = time.monotonic() + ASK_AGAIN_S
        self._until.move_to_end(session)
        if len(self._until) > CLIENTS:
            self._until.popitem(last=False)


def rates(settings: Settings) -> Throttled:
    """A token bucket for each client; GCRA is one that counts in fractions of a second."""
    quota = rate_limiter.per_sec(settings.rate_per_s, burst=settings.rate_burst)
    store = MemoryStore(options={"MAX_SIZE": CLIENTS})
    return Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store)


def client_of(scope: Scope) -> str:
    """Who asks, as its address says: behind a proxy that is not trusted, the proxy."""
    host = scope["client"][0] if scope.get("client") else "unnamed"
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> (128 - PREFIX_V6) << (128 - PREFIX_V6)))
    return str(address if not isinstance(address, IPv6Address) else address.ipv4_mapped)
