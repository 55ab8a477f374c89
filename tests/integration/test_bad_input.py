"""The bad-input table over gRPC, on the bundled model: each row's code, field and words, then a right answer."""

import math
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import pytest_asyncio
import torch
from calls import bad_field, failure
from models import architectures, tokenizers
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here

from inference_server.models.adapter import Files
from inference_server.models.registry import OnProgress
from inference_server.server import fetch_model
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_TEXT_BYTES = 20_000
HUGE = 2**31 - 1
LOADING = "owner/loading"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """A server with the bundled model, one without a beginning-of-sequence token, one that failed, one that loads."""
    torch.set_num_threads(1)
    markless, broken = tmp_path_factory.mktemp("markless"), tmp_path_factory.mktemp("broken")
    tokenizers.build("unigram", markless)
    architectures.build("llama", ModelTokenizer.load(markless).size, markless)
    over = threading.Event()

    def fetch(name: str, on_progress: OnProgress) -> Files:
        if name == LOADING:
            on_progress(312_000_000, 724_000_000)
            over.wait(PATIENCE_S)
        return fetch_model(name, on_progress)

    settings = Settings(
        model="bundled",
        models=(str(markless), str(broken), LOADING),
        grpc_port=0,
        max_text_bytes=MAX_TEXT_BYTES,
        drain_s=0,
        grace_s=PATIENCE_S,
    )
    async with server_here(settings, fetch) as server, connect(f"127.0.0.1:{server.port}") as stub:
        await ready(stub, "bundled")
        await ready(stub, LOADING, pb.MODEL_STATE_DOWNLOADING)
        facts = next(model.facts for model in server.registry.models() if model.name == "bundled")
        assert facts is not None
        try:
            yield SimpleNamespace(
                stub=stub, server=server, facts=facts, markless=str(markless), broken=str(broken), right=await ask(stub)
            )
        finally:
            over.set()


async def ask(stub: Any) -> list[tuple[int, float]]:
    """A good request's answer."""
    answer = await stub.TopK(pb.TopKRequest(text="Once upon a", top_k=3), timeout=PATIENCE_S)
    return [(candidate.token.token_id, round(candidate.probability, 6)) for candidate in answer.candidates]


async def refused(real: Any, call: Any) -> grpc.aio.AioRpcError:
    """A call's error, once the server is seen to answer rightly after it."""
    failed = await failure(call)
    assert await ask(real.stub) == real.right
    return failed


def raw(channel: grpc.aio.Channel, rpc: str) -> Any:
    """A call of bytes, whatever they are."""
    return channel.unary_unary(
        f"/nexttoken.v1.NextTokenService/{rpc}", request_serializer=None, response_deserializer=None
    )


def parts(*given: str | list[int]) -> pb.PromptParts:
    return pb.PromptParts(
        parts=[
            pb.PromptPart(text=part) if isinstance(part, str) else pb.PromptPart(token_ids=pb.TokenIds(ids=part))
            for part in given
        ]
    )


TOP_K_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "text", "exactly one of text, token_ids and parts must be given"),
    *(({"text": "a", "top_k": bad}, "top_k", "from 1 to 1,000") for bad in (0, -1, 1001, HUGE, -HUGE)),
    *(
        ({"text": "a", "temperature": bad}, "temperature", "from 0 to 100")
        for bad in (-0.1, 100.5, 1e308, math.nan, math.inf, -math.inf)
    ),
    *(({"text": "a", "top_p": bad}, "top_p", "above 0 and at most 1") for bad in (0.0, -1.0, 1.5, math.nan, math.inf)),
    *(({"text": "a", "min_p": bad}, "min_p", "from 0 to 1") for bad in (-0.1, 1.5, math.nan, -math.inf)),
    *(({"text": "a", "watch_token_ids": [5, bad]}, "watch_token_ids", "ids from 0 to") for bad in (-1, HUGE)),
    ({"text": "a", "watch_token_ids": [1] * 33}, "watch_token_ids", "at most 32"),
    *(
        ({"text": "a", "draws": [0.5, bad]}, "draws", "at least 0 and below 1")
        for bad in (-0.1, 1.0, math.nan, math.inf)
    ),
    ({"text": "a", "draws": [0.5] * 1001}, "draws", "at most 1,000"),
    *(({"token_ids": pb.TokenIds(ids=[1, bad])}, "token_ids", "ids from 0 to") for bad in (-1, HUGE)),
    ({"token_ids": pb.TokenIds(ids=[1] * 513)}, "token_ids", "context window is 512"),
    ({"parts": pb.PromptParts()}, "parts", "from 1 to 100 parts, got 0"),
    ({"parts": parts([1], "a", [2, HUGE])}, "parts", "at index 1 of part 2"),
    ({"parts": parts("a" * MAX_TEXT_BYTES, [1], "b")}, "parts", "at most 20,000 bytes of UTF-8 together, got 20,001"),
    ({"parts": parts([1] * 512, "a")}, "parts", "513 tokens; this model's context window is 512"),
    ({"text": "one two three " * 1000}, "text", "context window is 512"),
    ({"text": "a" * (MAX_TEXT_BYTES + 1)}, "text", "at most 20,000 bytes"),
    ({"text": "é" * (MAX_TEXT_BYTES // 2 + 1)}, "text", "got 20,002"),
]

SCORE_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "text", "exactly one of text and token_ids must be given"),
    *(({"text": "a", "top_k": bad}, "top_k", "from 0 to 100") for bad in (-1, 101, HUGE)),
    ({"token_ids": pb.TokenIds(ids=[-1])}, "token_ids", "ids from 0 to"),
    ({"token_ids": pb.TokenIds(ids=[1] * 513)}, "token_ids", "context window is 512"),
]

LAYERS_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "text", "exactly one of text and token_ids must be given"),
    *(({"text": "a", "top_k": bad}, "top_k", "from 1 to 100") for bad in (0, -1, 101, HUGE, -HUGE)),
    *(({"text": "a", "temperature": bad}, "temperature", "from 0 to 100") for bad in (-0.1, 100.5, math.nan, math.inf)),
    *(
        ({"token_ids": pb.TokenIds(ids=[5, 6]), "position": bad}, "position", "from 0 to 1")
        for bad in (-1, 2, HUGE, -HUGE)
    ),
    *(({"text": "a", "watch_token_ids": [5, bad]}, "watch_token_ids", "ids from 0 to") for bad in (-1, HUGE)),
    ({"text": "a", "watch_token_ids": [1] * 33}, "watch_token_ids", "at most 32"),
    *(({"text": "a", "contrast": bad}, "contrast", "two ids, or none") for bad in ([1], [1, 2, 3], [1] * 1000)),
    *(({"text": "a", "contrast": [1, bad]}, "contrast", "ids from 0 to") for bad in (-1, HUGE)),
    ({"text": "a", "contrast": [7, 7]}, "contrast", "two different ids"),
    ({"token_ids": pb.TokenIds(ids=[1] * 513)}, "token_ids", "context window is 512"),
]


@pytest.mark.parametrize(("fields", "field", "words"), LAYERS_ROWS)
async def test_a_bad_layers_request_is_refused(real: Any, fields: dict[str, Any], field: str, words: str) -> None:
    failed = await refused(real, real.stub.Layers(pb.LayersRequest(**fields)))
    assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert bad_field(failed) == field
    assert words in (failed.details() or "")


@pytest.mark.parametrize(("fields", "field", "words"), TOP_K_ROWS)
async def test_a_bad_top_k_request_is_refused(real: Any, fields: dict[str, Any], field: str, words: str) -> None:
    failed = await refused(real, real.stub.TopK(pb.TopKRequest(**fields)))
    assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert bad_field(failed) == field
    assert words in (failed.details() or "")


@pytest.mark.parametrize(("fields", "field", "words"), SCORE_ROWS)
async def test_a_bad_score_request_is_refused(real: Any, fields: dict[str, Any], field: str, words: str) -> None:
    failed = await refused(real, real.stub.Score(pb.ScoreRequest(**fields)))
    assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert bad_field(failed) == field
    assert words in (failed.details() or "")


async def test_the_first_id_beyond_the_vocabulary_is_refused_and_the_last_within_is_not(real: Any) -> None:
    size = real.facts.vocab_size
    await real.stub.TopK(pb.TopKRequest(token_ids=pb.TokenIds(ids=[size - 1]), watch_token_ids=[size - 1]))
    for fields in ({"token_ids": pb.TokenIds(ids=[size])}, {"text": "a", "watch_token_ids": [size]}):
        failed = await refused(real, real.stub.TopK(pb.TopKRequest(**fields)))
        assert f"ids from 0 to {size - 1:,}, got {size:,}" in (failed.details() or "")


async def test_the_longest_prompt_is_answered(real: Any) -> None:
    answer = await real.stub.TopK(pb.TopKRequest(token_ids=pb.TokenIds(ids=[1] * real.facts.context_limit)))
    assert answer.prompt.token_count == real.facts.context_limit


@pytest.mark.parametrize("fields", [{"text": ""}, {"token_ids": pb.TokenIds()}])
async def test_an_empty_prompt_stands_for_the_beginning(real: Any, fields: dict[str, Any]) -> None:
    answer = await real.stub.TopK(pb.TopKRequest(include_prompt_tokens=True, **fields))
    assert [token.is_special for token in answer.prompt.tokens] == [True]


@pytest.mark.parametrize("fields", [{"text": ""}, {"token_ids": pb.TokenIds()}])
async def test_a_model_without_a_beginning_refuses_an_empty_prompt(real: Any, fields: dict[str, Any]) -> None:
    await ready(real.stub, real.markless)
    failed = await refused(real, real.stub.TopK(pb.TopKRequest(model=real.markless, **fields)))
    assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert bad_field(failed) == next(iter(fields))


async def test_a_message_past_grpcs_limit_is_refused(real: Any) -> None:
    failed = await refused(real, real.stub.TopK(pb.TopKRequest(text="a" * (6 << 20))))
    assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in (failed.details() or "")


async def test_bytes_that_are_no_message_are_refused(real: Any) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{real.server.port}") as channel:
        for body in (b"\xff\xff\xff", b"\x12\x02\xff\xfe"):  # no fields; a text that is not UTF-8
            failed = await refused(real, raw(channel, "TopK")(body))
            assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, "request")
            assert "parsing" not in (failed.details() or "")


async def test_a_call_nobody_knows_is_refused(real: Any) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{real.server.port}") as channel:
        failed = await refused(real, raw(channel, "Guess")(b""))
        assert failed.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("name", ["gpt2", "../bundled", "bundled ", "BUNDLED", "\0", "x" * 100_000])
async def test_an_unknown_model_is_not_found(real: Any, name: str) -> None:
    for call in (
        real.stub.TopK(pb.TopKRequest(model=name, text="a")),
        real.stub.Score(pb.ScoreRequest(model=name, text="a")),
        real.stub.Layers(pb.LayersRequest(model=name, text="a")),
        real.stub.LoadModel(pb.LoadModelRequest(name=name)),
    ):
        failed = await refused(real, call)
        assert failed.code() is grpc.StatusCode.NOT_FOUND
        assert "available models: bundled, " in (failed.details() or "")


async def test_a_model_that_loads_says_how_far_it_is(real: Any) -> None:
    failed = await refused(real, real.stub.TopK(pb.TopKRequest(model=LOADING, text="a")))
    assert failed.code() is grpc.StatusCode.UNAVAILABLE
    assert failed.details() == f"{LOADING} is downloading: 312 of 724 MB"


async def test_a_model_that_failed_says_why(real: Any) -> None:
    failed = await refused(real, real.stub.TopK(pb.TopKRequest(model=real.broken, text="a")))
    assert failed.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "could not be loaded: no " in (failed.details() or "")
