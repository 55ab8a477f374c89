"""The bad-input table of Compare, Grow and Generate over gRPC, on the bundled model: each row's code, field and words,
then a right answer."""

import math
import threading
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
import torch
from calls import bad_field, failure
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here

from inference_server.models.adapter import Files
from inference_server.models.registry import OnProgress
from inference_server.server import fetch_model
from inference_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_TEXT_BYTES = 20_000
HUGE = 2**31 - 1
LOADING = "owner/loading"
FINE: dict[str, Any] = {"text": "Once upon a"}

Row = tuple[dict[str, Any], str, str]
COMPARE_ROWS: list[Row] = [
    ({}, "a.text", "exactly one of text and token_ids must be given, got none"),
    ({"a": FINE}, "b.text", "exactly one of text and token_ids must be given, got none"),
    *(({"a": FINE, "b": FINE, "top_k": bad}, "top_k", "from 1 to 100") for bad in (0, -1, 101, HUGE)),
    *(
        ({"a": FINE, "b": {**FINE, field: bad}}, f"b.{field}", words)
        for field, bad, words in (
            ("temperature", math.nan, "from 0 to 100"),
            ("temperature", -1.0, "from 0 to 100"),
            ("top_p", 0.0, "above 0 and at most 1"),
            ("min_p", 1.5, "from 0 to 1"),
        )
    ),
    ({"a": {"token_ids": {"ids": [-1]}}, "b": FINE}, "a.token_ids", "ids from 0 to"),
    ({"a": FINE, "b": {"token_ids": {"ids": [1] * 513}}}, "b.token_ids", "context window is 512"),
    ({"a": {"text": "one two three " * 1000}, "b": FINE}, "a.text", "context window is 512"),
    ({"a": FINE, "b": {"text": "a" * (MAX_TEXT_BYTES + 1)}}, "b.text", "at most 20,000 bytes"),
]
GROW_ROWS: list[Row] = [
    ({}, "text", "exactly one of text and token_ids must be given"),
    *(({**FINE, "depth": bad}, "depth", "from 1 to 100") for bad in (0, -1, 101, HUGE)),
    *(({**FINE, "max_nodes": bad}, "max_nodes", "from 1 to 2,000") for bad in (0, -1, 2001, HUGE)),
    *(({**FINE, "width": bad}, "width", "from 1 to 32") for bad in (0, -1, 33, HUGE)),
    *(({**FINE, "coverage": bad}, "coverage", "above 0 and at most 1") for bad in (0.0, -1.0, 1.5, math.nan, math.inf)),
    ({"token_ids": {"ids": [-1]}}, "token_ids", "ids from 0 to"),
    ({"token_ids": {"ids": [1] * 513}}, "token_ids", "context window is 512"),
    ({"token_ids": {"ids": [1] * 511}, "depth": 3}, "depth", "must be from 1 to 2 after a prompt of 511 tokens"),
]
IDS: dict[str, Any] = {"token_ids": {"ids": [5, 6]}}


def resumed(*so_far: tuple[int, list[int]], **fields: Any) -> dict[str, Any]:
    """A request to go on with continuations, each an index and its ids."""
    return {**IDS, "seed": 1, "resume": [{"index": index, "token_ids": ids} for index, ids in so_far], **fields}


GENERATE_ROWS: list[Row] = [
    ({}, "text", "exactly one of text and token_ids must be given"),
    ({"token_ids": {"ids": [-1]}}, "token_ids", "ids from 0 to"),
    ({"token_ids": {"ids": [1] * 513}}, "token_ids", "context window is 512"),
    ({"text": "a" * (MAX_TEXT_BYTES + 1)}, "text", "at most 20,000 bytes"),
    ({"text": "one two three " * 1000}, "text", "context window is 512"),
    *(({**FINE, "max_tokens": bad}, "max_tokens", "from 1 to 1,000,000") for bad in (0, -1, 1_000_001, HUGE)),
    *(({**FINE, "temperature": bad}, "temperature", "from 0 to 100") for bad in (-0.1, 100.5, math.nan, math.inf)),
    *(({**FINE, "top_p": bad}, "top_p", "above 0 and at most 1") for bad in (0.0, -1.0, 1.5, math.nan)),
    *(({**FINE, "min_p": bad}, "min_p", "from 0 to 1") for bad in (-0.1, 1.5, math.nan)),
    *(({**FINE, "seed": bad}, "seed", "from 0 to 9,007,199,254,740,991") for bad in (-1, 2**53, 2**63 - 1)),
    *(({**FINE, "n": bad}, "n", "from 1 to 16") for bad in (0, -1, 17, HUGE)),
    *(({**FINE, "top_k": bad}, "top_k", "from 0 to 1,000") for bad in (-1, 1001, HUGE)),
    ({**FINE, "n": 2, "top_k": 101}, "top_k", "at most 100 with n = 2, got 101"),
    ({**FINE, "stop": ["a"] * 17}, "stop", "at most 16 texts, got 17"),
    ({**FINE, "stop": ["a", ""]}, "stop", "texts of 1 to 256 bytes, got 0 at index 1"),
    ({**FINE, "stop": ["é" * 129]}, "stop", "texts of 1 to 256 bytes, got 258 at index 0"),
    ({**FINE, "stop_token_ids": {"ids": [1] * 65}}, "stop_token_ids", "at most 64 ids, got 65"),
    *(({**FINE, "stop_token_ids": {"ids": [5, bad]}}, "stop_token_ids", "ids from 0 to") for bad in (-1, 4096, HUGE)),
    *((resumed((bad, [5])), "resume", "index must be from 0 to 0 (n = 1)") for bad in (-1, 1, HUGE)),
    (resumed((1, []), (1, [5]), n=2), "resume", "continuation 1 is given twice"),
    (resumed((0, [5, 6, 7]), max_tokens=2), "resume", "continuation 0 has 3 tokens; max_tokens is 2"),
    *((resumed((0, [bad])), "resume", "ids from 0 to") for bad in (-1, 4096)),
    ({**resumed((0, [5])), "seed": None}, "resume", "needs the seed of the stream that broke off"),
    ({**resumed((0, [5])), "token_ids": None, **FINE}, "resume", "needs the prompt as token_ids"),
    (resumed((0, [5] * 512), max_tokens=600), "resume", "513 tokens; this model's context window is 512"),
    ({**FINE, "temperature": 0.5, "samplers": [{"top_k": 5}]}, "temperature", "can't be given with samplers"),
    (
        {**FINE, "samplers": [{"xtc": {"threshold": 0.1, "probability": 0.5, "coin": 0.5}}]},
        "samplers",
        "the seed decides",
    ),
    ({**FINE, "samplers": [{"top_k": 0}]}, "samplers", "step 0 (top_k) must be from 1 to"),
    ({**FINE, "samplers": [{}]}, "samplers", "each step must be one of temperature, "),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stub() -> AsyncIterator[Any]:
    """Of a server with the bundled model, and one that loads."""
    torch.set_num_threads(1)
    over = threading.Event()

    def fetch(name: str, on_progress: OnProgress) -> Files:
        if name == LOADING:
            on_progress(312_000_000, 724_000_000)
            over.wait(PATIENCE_S)
        return fetch_model(name, on_progress)

    settings = Settings(
        model="bundled",
        models=(LOADING,),
        grpc_port=0,
        max_text_bytes=MAX_TEXT_BYTES,
        drain_s=0,
        grace_s=PATIENCE_S,
    )
    async with server_here(settings, fetch) as server, connect(f"127.0.0.1:{server.port}") as stub:
        await ready(stub, "bundled")
        await ready(stub, LOADING, pb.MODEL_STATE_DOWNLOADING)
        try:
            yield stub
        finally:
            over.set()


async def refused(stub: Any, call: Any) -> grpc.aio.AioRpcError:
    """A call's error, once the server is seen to answer rightly after it."""
    failed = await failure(call)
    same = await stub.Compare(pb.CompareRequest(a=FINE, b=FINE), timeout=PATIENCE_S)
    assert (same.kl_a_b_bits, same.total_variation, same.overlap[-1]) == (0, 0, 10)
    return failed


@pytest.mark.parametrize(("fields", "field", "words"), COMPARE_ROWS)
async def test_a_bad_comparison_is_refused(stub: Any, fields: dict[str, Any], field: str, words: str) -> None:
    failed = await refused(stub, stub.Compare(pb.CompareRequest(**fields)))
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert words in (failed.details() or "")


@pytest.mark.parametrize(("fields", "field", "words"), GROW_ROWS)
async def test_a_bad_growth_is_refused(stub: Any, fields: dict[str, Any], field: str, words: str) -> None:
    failed = await refused(stub, stub.Grow(pb.GrowRequest(**fields)).read())
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert words in (failed.details() or "")


@pytest.mark.parametrize(("fields", "field", "words"), GENERATE_ROWS)
async def test_a_bad_generation_is_refused(stub: Any, fields: dict[str, Any], field: str, words: str) -> None:
    failed = await refused(stub, stub.Generate(pb.GenerateRequest(**fields)).read())
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert words in (failed.details() or "")


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("gpt2", grpc.StatusCode.NOT_FOUND, "unknown model 'gpt2'; available models: bundled, "),
        (LOADING, grpc.StatusCode.UNAVAILABLE, f"{LOADING} is downloading: 312 of 724 MB"),
    ],
)
async def test_a_model_that_can_not_answer_is_refused_by_side(
    stub: Any, model: str, code: grpc.StatusCode, words: str
) -> None:
    for side in ("a", "b"):
        sides: dict[str, Any] = {"a": FINE, "b": FINE, side: {**FINE, "model": model}}
        request = pb.CompareRequest(**sides)
        failed = await refused(stub, stub.Compare(request))
        assert failed.code() is code
        assert (failed.details() or "").startswith(f"{side}: {words}")
    for stream in (
        stub.Grow(pb.GrowRequest(model=model, **FINE)),
        stub.Generate(pb.GenerateRequest(model=model, **FINE)),
    ):
        failed = await refused(stub, stream.read())
        assert failed.code() is code
        assert (failed.details() or "").startswith(words)
