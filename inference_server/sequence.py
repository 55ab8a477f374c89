"""One prompt from admission to answer: what is asked of it, how far it is computed, and who waits for it."""

import asyncio
import contextlib
import contextvars
import math
import threading
import time
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from inference_server.interruption import Interruption
from inference_server.messages import NOBODY, Client, Timings

Ids = tuple[int, ...]
MAX_RECOMPUTED = 2  # times its length: if eviction makes a sequence cost more, it is computed in one pass without cache
BACKGROUND = 6  # how many steps in the background that others wait for take as long as another
T = TypeVar("T")


class Permit:
    """Permission of one client to be in flight. Its holders share it; the last one to release it frees it."""

    def __init__(self, free: Callable[[], None] = lambda: None, client: Client = NOBODY, stream: bool = False) -> None:
        """`stream`: whether its answer comes in parts."""
        self.client = client
        self.stream = stream
        self._free = free
        self._holders = 1
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Adds a holder."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Removes a holder."""
        with self._lock:
            self._holders -= 1
            free = self._holders == 0
        if free:
            self._free()


@dataclass(frozen=True, slots=True)
class Limits:
    """The most tokens that one step of a model may compute: of prompts together, of one score, in the background."""

    prefill_tokens: int
    score_tokens: int
    background_tokens: int = 1
    """Where others wait for the step to end."""
    interruptible: bool = False
    """Whether a step in the background ends early where others come, and may be longer until one did."""
    head_rows: int = 1
    """Of a trace: the most states that one step takes through the head."""


@dataclass(eq=False, slots=True)
class Trace:
    """What to find within the network at a prompt's last token, and what was found; all None or empty before."""

    rows: int
    """States: the embedding, then one after each block."""
    contrast: tuple[int, int] | None = None
    """Asks how much each part of the network adds to the first token's logit over the second's."""
    attention: bool = False
    """Asks for attention weights."""

    states: Any = None
    """(rows, width): what enters the first block, then what leaves each."""
    logits: Any = None
    """(V,): the model's own."""
    contributions: list[tuple[int, str, float]] = field(default_factory=list)
    """Block (0: none), part, share of the difference."""
    difference: float = 0.0
    """Between the two tokens' logits, before any soft cap."""
    weights: list[list[list[float]]] = field(default_factory=list)
    """By block, head and token."""


class Executor(Protocol):
    """Computes one model's sequences step by step, on the worker thread unless stated otherwise."""

    @property
    def name(self) -> str:
        """The model's, for logs."""
        ...

    @property
    def batched(self) -> bool:
        """Whether several sequences may share a step."""
        ...

    @property
    def limits(self) -> Limits: ...

    def recall(self, sequence: "Sequence[Any]") -> "Callable[[], object] | None":
        """What answers a sequence whose logits are cached, in a moment and on any thread; None if they are not.

        From any thread. What follows from the answer, such as a prefetch, is left to the next step or idle work.
        """
        ...

    def match(self, sequences: "list[Sequence[Any]]") -> "list[Sequence[Any]]":
        """Answers what the caches can answer. Returns the rest, each prompt once, with `num_cached_tokens` set."""
        ...

    def execute(self, batch: "list[tuple[Sequence[Any], int]]") -> None:
        """Computes up to that many tokens of each matched sequence; those with all their logits are then `done`."""
        ...

    def release(self) -> None:
        """Ends the step: unpins what `match` found."""
        ...


class Work(Protocol):
    """A computation that is no forward pass, done slice by slice."""

    def step(self, seconds: float, interruption: Interruption | None) -> Any:
        """Computes for about that long, less if interrupted; the result once it is done, else None."""
        ...


@dataclass(eq=False, slots=True)
class Sequence(Generic[T]):
    """A prompt and what becomes of it.

    `describe` turns rows of logits (n, V) into n outputs: the one after the last token, or with `every_row`, in order
    and in as many calls as it takes, those after each token. With `hidden`, in the same way, the one after the last
    token for each range of earlier tokens that it then does not see, in any layer.
    """

    token_ids: Ids
    executor: Executor
    describe: "Callable[[Sequence[T], Any], Iterable[T]]"
    permit: Permit = field(default_factory=Permit)
    deadline: float | None = None
    """In time.monotonic() seconds; None: no deadline."""
    every_row: bool = False
    trace: Trace | None = None
    """Asks for the states within the network: then `describe` gets their logits, those of the embedding first."""
    hidden: "Tokens[tuple[int, int]]" = ()
    work: "Work | None" = None
    """What is computed instead of logits; `describe` gets its result."""
    background: bool = False
    """Whether its steps end early where others come, or else are shorter than others', by BACKGROUND."""
    interruption: Interruption | None = None
    """What may end its step before it is done; None: nothing."""
    interrupted: bool = False
    """Whether its last step ended so, to no avail."""
    calm: float = math.inf
    """Its next step in the background as a multiple of a short one, at most: after an interruption 1, then 2, 4, …"""
    prefetch: bool = True
    """Whether one of its likely next tokens may be asked for next."""
    one_of_many: bool = False
    """Whether it is one of many that a single request computes: their logits, if cached, would displace all others."""

    outputs: list[T] = field(default_factory=list)
    num_cached_tokens: int = 0
    """How many of its first tokens the next step finds in the cache."""
    num_computed_tokens: int = 0
    """How many tokens were computed for it; more than it has where some were evicted in between."""
    single_pass: bool = False
    """Whether all of it must be computed in one pass."""
    prefetched: bool = False
    """Whether its logits were computed before anyone asked."""

    arrived: float = field(default_factory=time.monotonic)
    began: float | None = None
    """When its first step began."""
    compute_s: float = 0.0
    """How long its steps took."""
    share_s: float = 0.0
    """Of that, its share among the sequences of each step."""
    left: bool = False
    """Whether its caller has stopped waiting."""
    future: "asyncio.Future[None] | None" = None
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    @property
    def remaining(self) -> int:
        """Tokens to compute before its next logits are all there; evicted ones of a score come first, by themselves.

        Of hidden ranges, first the tokens before the last one, then the last one once for each range.
        """
        described = len(self.outputs)
        if self.hidden:
            before = len(self.token_ids) - 1 - self.num_cached_tokens
            return before if before else len(self.hidden) - described
        evicted = self.every_row and self.num_cached_tokens < described
        return (described if evicted else len(self.token_ids)) - self.num_cached_tokens

    @property
    def recomputed(self) -> bool:
        """Whether eviction has made it cost so much that a single pass is cheaper."""
        return self.num_computed_tokens > MAX_RECOMPUTED * (len(self.token_ids) + len(self.hidden))

    @property
    def alone(self) -> bool:
        """Whether it shares no step with others."""
        return self.rowwise or self.trace is not None or self.work is not None

    @property
    def rowwise(self) -> bool:
        """Whether it gets rows of logits a few at a time."""
        return self.every_row or bool(self.hidden)

    @property
    def done(self) -> bool:
        if self.trace is not None:
            return len(self.outputs) == self.trace.rows
        if self.hidden:
            return len(self.outputs) == len(self.hidden)
        return len(self.outputs) == (len(self.token_ids) if self.every_row else 1)

    @property
    def num_reused_tokens(self) -> int:
        """How many of its tokens did not have to be computed."""
        return max(0, len(self.token_ids) - self.num_computed_tokens)

    @property
    def queue_s(self) -> float:
        """How long it waited for its first step."""
        return 0.0 if self.began is None else self.began - self.arrived

    def receive(self, rows: Any) -> None:
        """Describes its next rows of logits."""
        self.outputs.extend(self.describe(self, rows))

    def wanted(self, now: float) -> bool:
        """Whether anyone still waits for it."""
        return not self.left and (self.deadline is None or now < self.deadline)

    def finish(self, error: Exception | None = None) -> None:
        """Releases the permit and wakes the caller, from any thread.

        In this order, so that a caller with an answer may ask again at once.
        """
        self.permit.release()
        if self.future is not None:
            call_soon(self.future.get_loop(), _settle, self.future, error)


def _settle(future: "asyncio.Future[None]", error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: object) -> None:
    """Calls on an event loop's thread, from any thread; does nothing if the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)


def timings_of(arrived: float, tokenize_s: float, *sequences: Sequence[Any]) -> Timings:
    """Of a request that arrived then (time.monotonic seconds) and whose sequences were computed one after another."""
    queue_s = sum(sequence.queue_s for sequence in sequences)
    model_s = sum(sequence.compute_s for sequence in sequences)
    total_s = time.monotonic() - arrived
    return Timings(queue_s * 1000, tokenize_s * 1000, model_s * 1000, total_s * 1000)
