"""A client who means no harm: asks real questions over a connection of its own while a test attacks.

Its answers are compared with those it got before, so a flood may cost it time, but neither an answer nor a digit.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

from attack.tiers import Address

ADDRESS = "127.0.0.2"  # another than the attackers'
PATIENCE_S = 30.0
PAUSE_S = 0.02
SAME = 2e-5  # in probability; what a batch may change
TEXTS = (
    "Once upon a time",
    "The little dog ran",
    "She was very happy because",
    "One day, a boy named Tom",
    "The sun was",
    "They played in the park until",
)
Numbers = list[tuple[int, float]]
"""Token ids and their probabilities, in order of rank."""
Ask = Callable[[str], Numbers]
"""Answers a text; raises Refused or whatever its transport raises."""


class Refused(Exception):
    """An answer that is no answer; the message has its status and words."""


@dataclass(frozen=True)
class Asked:
    """One question: when it was asked (time.monotonic()), how long it took, and what was wrong with the answer."""

    at: float
    seconds: float
    fault: str


class Bystander:
    """Asks the same few texts again and again, from a thread."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.expected = {text: ask(text) for text in TEXTS}
        self.asked: list[Asked] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bystander")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Lets the question under way end."""
        self._over.set()
        self._thread.join()

    def faults(self) -> list[str]:
        """What was wrong with answers so far."""
        return [asked.fault for asked in list(self.asked) if asked.fault]

    def seconds(self) -> list[float]:
        """How long each question took so far."""
        return [asked.seconds for asked in list(self.asked)]

    def more(self, count: int = 5) -> None:
        """Waits until that many further questions have ended."""
        wanted, limit = len(self.asked) + count, time.monotonic() + PATIENCE_S * count
        while len(self.asked) < wanted:
            assert time.monotonic() < limit, "the bystander's question never ends"
            time.sleep(PAUSE_S)

    def assert_unharmed(self, least: int = 3) -> None:
        """Asked at least so often, and got the right numbers every time."""
        assert len(self.asked) >= least, f"asked only {len(self.asked)} times"
        faults = self.faults()
        assert not faults, f"{len(faults)} of {len(self.asked)} questions: {faults[:5]}"

    def _run(self) -> None:
        while True:
            for text in TEXTS:
                if self._over.is_set():
                    return
                at = time.monotonic()
                fault = self._fault(text)
                self.asked.append(Asked(at, time.monotonic() - at, fault))
                time.sleep(PAUSE_S)

    def _fault(self, text: str) -> str:
        try:
            numbers = self._ask(text)
        except Exception as error:
            return repr(error)
        return different(numbers, self.expected[text])


def different(found: Numbers, expected: Numbers) -> str:
    """How two answers differ by more than a batch may change, in words; empty where they don't."""
    if [token for token, _ in found] != [token for token, _ in expected]:
        return f"other tokens: {found[:3]} and not {expected[:3]}"
    worst = max(abs(a - b) for (_, a), (_, b) in zip(found, expected, strict=True))
    return f"probabilities off by {worst}" if worst > SAME else ""


class OverHttp:
    """Asks a gateway: by turns over a connection that stays open and over a new one, as a new visitor would."""

    def __init__(self, address: Address, source: str = ADDRESS) -> None:
        self._address = address
        self._source = source
        self._count = 0
        self._kept = self._connection()

    def __call__(self, text: str) -> Numbers:
        self._count += 1
        if self._count % 2:
            return self._asked(self._kept, text)
        with contextlib.closing(self._connection()) as fresh:
            return self._asked(fresh, text)

    def close(self) -> None:
        self._kept.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._address
        return http.client.HTTPConnection(host, port, timeout=PATIENCE_S, source_address=(self._source, 0))

    def _asked(self, connection: http.client.HTTPConnection, text: str) -> Numbers:
        body = json.dumps({"text": text, "top_k": 10, "model": "bundled"})
        headers = {"content-type": "application/json", "x-session": "bystander"}
        try:
            connection.request("POST", "/api/next-token", body, headers)
            answer = connection.getresponse()
            told: Any = json.loads(answer.read())
        except Exception:
            connection.close()  # the next request opens it anew
            raise
        if answer.status != 200:
            raise Refused(f"{answer.status} {told}")
        return [(candidate["token_id"], candidate["probability"]) for candidate in told["candidates"]]


class OverGrpc:
    """Asks an inference server over a gRPC connection of its own."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub: Any = pb_grpc.NextTokenServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated

    def __call__(self, text: str) -> Numbers:
        request = pb.TopKRequest(text=text, top_k=10, model="bundled")
        metadata = (("x-session", "bystander"), ("x-client", ADDRESS))
        try:
            answer = self._stub.TopK(request, timeout=PATIENCE_S, metadata=metadata)
        except grpc.RpcError as error:
            call: Any = error
            raise Refused(f"{call.code()}: {call.details()}") from None
        return [(candidate.token.token_id, candidate.probability) for candidate in answer.candidates]

    def close(self) -> None:
        self._channel.close()


@contextlib.contextmanager
def standing_by(asks: Sequence[OverHttp | OverGrpc]) -> Iterator[list[Bystander]]:
    """One bystander for each way to ask, from before the attack until after it."""
    bystanders = [Bystander(ask) for ask in asks]
    for bystander in bystanders:
        bystander.start()
    try:
        yield bystanders
    finally:
        for bystander in bystanders:
            bystander.stop()
        for ask in asks:
            ask.close()
