"""Extreme parameters over gRPC, on the real model: refused by the field, or answered with numbers that add up."""

import math
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from calls import bad_field
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

from attack.bystander import PATIENCE_S
from attack.guard import guarded
from attack.tiers import Tiers

INT32 = 2**31 - 1
TINY = 5e-324  # the least number above 0
BELOW_1 = math.nextafter(1.0, 0.0)
ANSWERED: list[dict[str, Any]] = [
    {"temperature": -0.0},
    {"temperature": TINY},
    {"temperature": 1e-30},
    {"temperature": 100.0, "top_k": 1000},
    {"temperature": 0.0, "draws": [0.0, BELOW_1]},
    {"top_p": TINY, "draws": [0.5, -0.0, TINY]},
    {"top_p": BELOW_1, "min_p": TINY},
    {"min_p": 1.0, "draws": [BELOW_1]},
    {"temperature": TINY, "top_p": TINY, "min_p": 1.0, "draws": [BELOW_1] * 1000},
    {"temperature": 100.0, "min_p": 1.0, "include_partition": True},
    {"draws": [0.5] * 1000, "top_k": 1000, "watch_token_ids": [0] * 32, "include_partition": True},
    {"watch_token_ids": list(range(32)), "temperature": TINY},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"top_k": INT32}, "top_k"),
    ({"top_k": -INT32 - 1}, "top_k"),
    ({"temperature": math.nan}, "temperature"),
    ({"temperature": math.inf}, "temperature"),
    ({"temperature": math.nextafter(100.0, 101.0)}, "temperature"),
    ({"temperature": -TINY}, "temperature"),
    ({"top_p": -0.0}, "top_p"),
    ({"top_p": math.nextafter(1.0, 2.0)}, "top_p"),
    ({"top_p": math.nan}, "top_p"),
    ({"min_p": -TINY}, "min_p"),
    ({"min_p": -math.inf}, "min_p"),
    ({"draws": [math.nan]}, "draws"),
    ({"draws": [1.0]}, "draws"),
    ({"draws": [0.0] * 500_000}, "draws"),
    ({"watch_token_ids": [1] * 900_000}, "watch_token_ids"),
    ({"watch_token_ids": [-INT32 - 1]}, "watch_token_ids"),
    ({"token_ids": pb.TokenIds(ids=[1] * 900_000)}, "token_ids"),
    ({"token_ids": pb.TokenIds(ids=[INT32])}, "token_ids"),
    ({"token_ids": pb.TokenIds(ids=[-INT32 - 1])}, "token_ids"),
    ({"text": "a" * 1_000_001}, "text"),
    ({"text": None}, "text"),
]


@pytest.fixture(scope="module")
def stub(tiers: Tiers) -> Iterator[Any]:
    """A client, while everyone is watched; a million ids are a list of a million numbers for a moment."""
    with guarded(tiers, inference_mb=200), grpc.insecure_channel(tiers.target) as channel:
        yield pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]  # generated


@pytest.mark.parametrize("fields", ANSWERED, ids=lambda fields: repr(fields)[:50])
def test_numbers_that_add_up(stub: Any, fields: dict[str, Any]) -> None:
    answer = stub.TopK(pb.TopKRequest(text="Once upon a", **fields), timeout=PATIENCE_S)
    shares = [candidate.probability for candidate in answer.candidates]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) + answer.other_probability == pytest.approx(1, abs=1e-5)
    shown = [*answer.candidates, *answer.watched, *answer.drawn]
    assert all(0 <= each.probability <= 1 and math.isfinite(each.logit) and each.logprob <= 0 for each in shown)
    assert len(answer.drawn) == len(fields.get("draws", ()))
    assert 1 <= answer.kept.count <= answer.vocab_size
    assert 0 < answer.kept.probability <= 1 + 1e-6
    assert 0 <= answer.entropy_bits <= math.log2(answer.vocab_size) + 1e-6
    assert all(math.isfinite(point.log_sum_exp) and point.variance >= 0 for point in answer.partition)
    if fields.get("temperature", 1) < 1e-20:
        assert shares[0] == 1


@pytest.mark.parametrize(("fields", "field"), REFUSED, ids=lambda value: repr(value)[:50])
def test_refused_by_the_field(stub: Any, fields: dict[str, Any], field: str) -> None:
    prompt: dict[str, Any] = {} if {"text", "token_ids"} & set(fields) else {"text": "a"}
    with pytest.raises(grpc.RpcError) as failed:
        stub.TopK(pb.TopKRequest(**prompt, **fields), timeout=PATIENCE_S)
    error: Any = failed.value
    assert (error.code(), bad_field(error)) == (grpc.StatusCode.INVALID_ARGUMENT, field)


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-session", "s" * 6000), ("x-client", "," * 64), ("x-request-id", "%n" * 30), ("traceparent", "00-" * 30)],
)
def test_metadata_of_any_kind(stub: Any, name: str, value: str) -> None:
    answer = stub.TopK(pb.TopKRequest(text="Once"), timeout=PATIENCE_S, metadata=[(name, value)])
    assert answer.model == "bundled"
