"""The harness itself: it sees memory that grows, an answer that is wrong, and frames as they come."""

import subprocess
import sys

import pytest

from attack import http2, raw
from attack.bystander import Bystander, Numbers, different
from attack.guard import Guarded
from attack.tiers import Tiers, measured

GROWING = "input(); held = b'x' * 60_000_000; print(len(held), flush=True); input()"


def test_growth_is_seen() -> None:
    command = [sys.executable, "-c", GROWING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        with measured(process.pid) as (memory,):
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "60000000\n"
            memory.peak = max(memory.peak, memory.now())
        process.communicate("\n")
    assert 50 < memory.grown < 200


@pytest.mark.parametrize(
    ("found", "words"),
    [([(1, 0.5), (2, 0.25)], ""), ([(2, 0.5), (1, 0.25)], "other tokens"), ([(1, 0.5001), (2, 0.25)], "off by")],
)
def test_a_wrong_answer_is_seen(found: Numbers, words: str) -> None:
    fault = different(found, [(1, 0.50001), (2, 0.25)])
    assert (words in fault) if words else not fault


def test_a_bystander_who_is_refused_says_so() -> None:
    answers = iter([[(1, 0.5)]] * 6)  # enough for what it expects, and no more
    bystander = Bystander(lambda text: next(answers))
    bystander.start()
    bystander.more(2)
    bystander.stop()
    with pytest.raises(AssertionError, match="StopIteration"):
        bystander.assert_unharmed(least=2)


def test_one_honest_request_over_a_bare_socket(tiers: Tiers, watched: Guarded) -> None:
    body = b'{"text": "Once", "model": "bundled"}'
    heard = raw.exchange(tiers.http, raw.POST + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert (heard.statuses, heard.rest, heard.closed) == ([200], b"", False)
    watched.visitor.more(2)


def test_one_honest_call_in_bare_frames(tiers: Tiers, watched: Guarded) -> None:
    with http2.speaking(tiers.grpc) as peer:
        stream = peer.stream()
        peer.send(http2.call(stream), http2.message(stream, b"\x12\x04Once"))
        heard: list[http2.Frame] = []
        while not any(frame.stream == stream and frame.flags & http2.END_STREAM for frame in heard):
            frames = peer.hear(raw.PATIENCE_S)
            assert frames, heard
            heard += frames
    (answer,) = [frame.payload for frame in heard if frame.kind == http2.DATA]
    assert b"bundled" in answer
