"""The calls over a real socket, above a fake engine: requests and answers arrive whole, and clients may leave."""

import asyncio
import math
from typing import Any

import fakes
import grpc
import pytest
from calls import failure, until
from google.protobuf.message import Message
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, server_here, stub_of

from inference_server import compare_messages, messages
from inference_server.api.service import LARGE_SCORE
from inference_server.layer_messages import LayersQuery
from inference_server.settings import Settings

HELLO = pb.TopKRequest(text="hi", top_k=2)


async def test_defaults_are_those_of_the_query(setting: Any) -> None:
    await setting.stub.TopK(pb.TopKRequest(text="hi"))
    await setting.stub.TopK(pb.TopKRequest(token_ids=pb.TokenIds(ids=[])))
    await setting.stub.Score(pb.ScoreRequest(token_ids=pb.TokenIds(ids=[5, 6])))
    assert setting.engine.queries == [
        messages.TopKQuery(text="hi"),
        messages.TopKQuery(token_ids=()),
        messages.ScoreQuery(token_ids=(5, 6)),
    ]


async def test_fields_that_are_set_arrive_even_when_zero(setting: Any) -> None:
    request = pb.TopKRequest(
        text="hi",
        top_k=0,
        temperature=0,
        watch_token_ids=[3, 1],
        top_p=0,
        min_p=0.5,
        draws=[0.25, math.inf],
        include_prompt_tokens=True,
        include_partition=True,
    )
    await setting.stub.TopK(request)
    await setting.stub.Score(pb.ScoreRequest(text="", top_k=3))
    assert setting.engine.queries == [
        messages.TopKQuery(
            text="hi",
            top_k=0,
            temperature=0.0,
            watch_token_ids=(3, 1),
            top_p=0.0,
            min_p=0.5,
            draws=(0.25, math.inf),
            include_prompt_tokens=True,
            include_partition=True,
        ),
        messages.ScoreQuery(text="", top_k=3),
    ]


async def test_an_answer_arrives_whole(setting: Any) -> None:
    request = pb.TopKRequest(
        token_ids=pb.TokenIds(ids=[0, 254]),
        top_k=2,
        watch_token_ids=[9],
        draws=[0.5],
        include_prompt_tokens=True,
        include_partition=True,
    )
    answer = await setting.stub.TopK(request)
    assert answer.model == "bundled"
    assert (answer.prompt.token_count, answer.prompt.context_limit) == (2, fakes.CONTEXT_LIMIT)
    assert [token.token_id for token in answer.prompt.tokens] == [0, 254]
    first, second = answer.candidates
    assert (first.token.token_id, first.token.bytes, first.rank, first.probability) == (255, b"\xff", 1, 0.5)
    assert not first.token.HasField("text")
    assert (second.token.text, second.token.is_special) == ("\0", True)
    assert (answer.watched[0].token.text, answer.watched[0].rank) == ("\t", 7)
    assert answer.drawn[0] == first
    assert (answer.kept.count, answer.kept.probability) == (fakes.VOCAB_SIZE, 1.0)
    assert (answer.other_probability, answer.entropy_bits, answer.vocab_size) == (0.25, 2.0, fakes.VOCAB_SIZE)
    point = pb.PartitionPoint(inverse_temperature=1.0, log_sum_exp=2.0, mean_logit=3.0, variance=4.0)
    assert list(answer.partition) == [point]
    assert answer.partition_at_zero == pb.PartitionPoint(log_sum_exp=5.0, mean_logit=6.0, variance=7.0)
    assert (answer.timings.queue_ms, answer.timings.tokenize_ms, answer.timings.model_ms) == (0.1, 0.2, 0.3)


async def test_a_score_arrives_whole(setting: Any) -> None:
    answer = await setting.stub.Score(pb.ScoreRequest(text="hi", top_k=2))
    first, second = answer.tokens
    assert first == pb.ScoredToken(
        candidate=pb.Candidate(token=pb.Token(token_id=104, bytes=b"h", text="h")),
        entropy_bits=1.0,
        alternatives=first.alternatives,
        unconditioned=True,
    )
    assert (second.candidate.token.text, second.candidate.probability, len(second.alternatives)) == ("i", 0.5, 2)
    assert (answer.total_logprob, answer.perplexity, answer.bits_per_byte) == (-0.5, 1.5, 0.25)
    assert (answer.context_limit, answer.timings.total_ms) == (fakes.CONTEXT_LIMIT, 0.6)


async def test_a_comparison_arrives_whole(setting: Any) -> None:
    request = pb.CompareRequest(
        a=pb.ComparedQuestion(text="hi"),
        b=pb.ComparedQuestion(token_ids=pb.TokenIds(ids=[7]), temperature=0, top_p=0.5, min_p=0.25),
        top_k=2,
        include_prompt_tokens=True,
    )
    answer = await setting.stub.Compare(request)
    assert setting.engine.queries == [
        compare_messages.ComparedQuestion(text="hi"),
        compare_messages.ComparedQuestion(token_ids=(7,), temperature=0.0, top_p=0.5, min_p=0.25),
    ]
    side = pb.ComparedSide(
        model="bundled",
        prompt=pb.Prompt(
            token_count=1,
            context_limit=fakes.CONTEXT_LIMIT,
            tokens=[pb.Token(token_id=7, bytes=b"\7", text="\7")],
        ),
        kept=pb.Kept(count=fakes.VOCAB_SIZE, probability=1.0),
        entropy_bits=2.0,
        vocab_size=fakes.VOCAB_SIZE,
    )
    assert (answer.a.prompt.token_count, answer.b) == (2, side)
    assert (answer.kl_a_b_bits, answer.kl_b_a_bits, answer.js_bits) == (math.inf, 1.5, 0.25)
    assert (answer.total_variation, list(answer.overlap), answer.matched_by_bytes) == (0.125, [0, 1], False)
    assert answer.unmatched == pb.Unmatched(b=0.75)
    both, alone = answer.candidates
    assert (both.token.text, both.a.rank, both.a.probability) == ("j", 1, 0.5)
    assert both.b == pb.ComparedPlace(token_id=206, rank=2, logprob=-math.inf)
    assert (alone.HasField("a"), alone.HasField("b")) == (False, True)
    assert (list(answer.gained), list(answer.lost)) == ([], [both])
    bare = await setting.stub.Compare(
        pb.CompareRequest(a=pb.ComparedQuestion(text="a"), b=pb.ComparedQuestion(text="b"))
    )
    assert (len(bare.overlap), list(bare.a.prompt.tokens)) == (10, [])


async def test_a_large_score_arrives_whole(setting: Any) -> None:
    text = "x" * (LARGE_SCORE // 100)
    answer = await setting.stub.Score(pb.ScoreRequest(text=text, top_k=100))
    assert [len(token.alternatives) for token in answer.tokens] == [100] * len(text)
    assert answer.total_logprob == -0.5


async def test_layers_arrive_whole(setting: Any) -> None:
    request = pb.LayersRequest(
        token_ids=pb.TokenIds(ids=[5, 6, 7]), position=1, top_k=2, watch_token_ids=[9], contrast=[3, 4]
    )
    request.include_attention = request.include_prompt_tokens = True
    answer = await setting.stub.Layers(request)
    asked = LayersQuery(
        token_ids=(5, 6, 7),
        position=1,
        top_k=2,
        watch_token_ids=(9,),
        contrast=(3, 4),
        include_attention=True,
        include_prompt_tokens=True,
    )
    assert setting.engine.queries == [asked]
    assert (answer.model, answer.prompt.token_count, answer.position) == ("bundled", 3, 1)
    assert [token.token_id for token in answer.prompt.tokens] == [5, 6, 7]
    assert [(layer.layer, len(layer.candidates)) for layer in answer.layers] == [(0, 2), (1, 2)]
    assert (answer.layers[0].watched[0].token.token_id, answer.layers[0].kl_to_final_bits) == (9, math.inf)
    assert (answer.commitment.top1_layer, answer.commitment.HasField("half_layer")) == (1, False)
    assert list(answer.contributions) == [pb.Contribution(layer=1, part=pb.MODEL_PART_MLP, logit_difference=0.25)]
    assert (answer.logit_difference, answer.before_soft_cap) == (0.25, True)
    assert [list(head.weights) for head in answer.attention[0].heads] == [[0.25, 0.25, 0.5]] * 2
    assert not (await setting.stub.Layers(pb.LayersRequest(text="a"))).HasField("logit_difference")


async def test_facts_arrive_with_a_ready_model(setting: Any) -> None:
    (model,) = (await setting.stub.ListModels(pb.ListModelsRequest())).models
    assert (model.name, model.state, model.is_default) == ("bundled", pb.MODEL_STATE_READY, True)
    facts = setting.engine.facts
    assert (model.facts.parameters, model.facts.device, model.facts.dtype) == (facts.parameters, "cpu", "float32")
    assert (model.facts.vocab_size, model.facts.context_limit) == (facts.vocab_size, facts.context_limit)
    assert model.facts.architecture == facts.architecture
    assert (tuple(model.facts.end_of_text_ids), tuple(model.facts.prefix_token_ids)) == ((0, 4), (0,))
    loaded = await setting.stub.LoadModel(pb.LoadModelRequest(name="bundled"))
    assert loaded.model == model


async def test_the_deadline_reaches_the_engine(setting: Any) -> None:
    await setting.stub.TopK(HELLO)
    await setting.stub.TopK(HELLO, timeout=PATIENCE_S)
    await setting.stub.Layers(pb.LayersRequest(text="a"), timeout=PATIENCE_S)
    none, *some = setting.engine.deadlines
    assert none is None
    assert None not in some


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [("TopK", HELLO), ("Layers", pb.LayersRequest(text="a")), ("Score", pb.ScoreRequest(text="a"))],
)
async def test_a_client_that_leaves_cancels_its_call(
    setting: Any, logged: list[Any], rpc: str, request_: Message
) -> None:
    setting.engine.gate = asyncio.Event()
    call = getattr(setting.stub, rpc)(request_)
    await until(lambda: bool(setting.engine.queries))
    call.cancel()
    await until(lambda: any(entry.get("code") == "CANCELLED" for entry in logged))
    assert setting.engine.finished == 0
    assert not any(entry["event"] == "unhandled exception" for entry in logged)


async def test_a_watcher_that_leaves_is_let_go(setting: Any, logged: list[Any]) -> None:
    watch = setting.stub.WatchModels(pb.WatchModelsRequest())
    assert (await watch.read()).models[0].name == "bundled"
    watch.cancel()
    await until(lambda: any(entry.get("rpc") == "WatchModels" and entry["code"] == "CANCELLED" for entry in logged))


async def test_a_watch_ends_with_the_server() -> None:
    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    watches = []
    async with server_here(settings, fakes.fetch, lambda name, folder: fakes.FakeEngine()) as server:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        for _ in range(2):
            watches.append(stub_of(channel).WatchModels(pb.WatchModelsRequest()))
            await watches[-1].read()
    for watch in watches:
        failed = await failure(watch.read())
        assert failed.code() is grpc.StatusCode.UNAVAILABLE
        assert "stopping" in (failed.details() or "")
    await channel.close(None)
