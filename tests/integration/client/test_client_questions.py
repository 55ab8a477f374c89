"""What the Python clients ask beside the next token, against a real server: answers, errors, tables."""

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import Any

import chats
import grpc
import pytest
from google.protobuf import json_format
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc
from servers import ROOT, ServerProcess, server_process

import next_token_visualizer as ntv

TEXT = "Once upon a time"
TURNS: list[Any] = [{"role": "user", "content": TEXT}]


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a chat template."""
    return str(chats.build(tmp_path_factory.mktemp("models") / "talker"))


@pytest.fixture(scope="module")
def server(talker: str) -> Iterator[ServerProcess]:
    with server_process({"NEXTTOKEN_MODELS": talker}) as server:
        for name in ("bundled", talker):
            server.wait_for("model ready", model=name)
        yield server


@pytest.fixture(scope="module")
def stub(server: ServerProcess) -> Iterator[Any]:
    with grpc.insecure_channel(server.target) as channel:
        yield pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[ntv.Client]:
    with ntv.Client(server.target) as client:
        yield client


VARIES = ("timings", "cachedTokens", "computedTokens")
"""What differs from call to call."""


def plain(answer: Any) -> Any:
    """A message, or a list of them, as dicts and lists, to be compared by `same`."""
    if isinstance(answer, list):
        return [plain(each) for each in answer]
    return {"kind": type(answer).__name__, **json_format.MessageToDict(answer)}


def same(one: Any, other: Any) -> bool:
    """Equal, but for rounding that depends on what was cached."""
    if isinstance(one, dict):
        keys = [key for key in one.keys() | other.keys() if key not in VARIES]
        return all(key in one and key in other and same(one[key], other[key]) for key in keys)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return math.isclose(one, other, abs_tol=1e-4) if isinstance(one, float) else bool(one == other)


A, B = pb.ComparedQuestion(text=TEXT, temperature=0.5, top_p=0.9), pb.ComparedQuestion(text=TEXT)

UNARY: dict[str, tuple[Callable[[Any], Any], str, Any]] = {
    "layers": (
        lambda client: client.layers(
            TEXT, top_k=3, position=1, watch_token_ids=[5], contrast=[14, 3], include_attention=True
        ),
        "Layers",
        pb.LayersRequest(text=TEXT, top_k=3, position=1, watch_token_ids=[5], contrast=[14, 3], include_attention=True),
    ),
    "tokenize": (
        lambda client: client.tokenize(TEXT, bare=True, include_tokenizer=True),
        "Tokenize",
        pb.TokenizeRequest(text=TEXT, bare=True, include_tokenizer=True),
    ),
    "compare": (
        lambda client: client.compare(
            ntv.Question(TEXT, temperature=0.5, top_p=0.9), TEXT, top_k=3, include_prompt_tokens=True
        ),
        "Compare",
        pb.CompareRequest(a=A, b=B, top_k=3, include_prompt_tokens=True),
    ),
    "special": (
        lambda client: client.compare(ntv.Question("<|endoftext|>", special="text"), [5, 6]),
        "Compare",
        pb.CompareRequest(
            a=pb.ComparedQuestion(text="<|endoftext|>", special=pb.SPECIAL_TOKENS_TEXT),
            b=pb.ComparedQuestion(token_ids=pb.TokenIds(ids=[5, 6])),
        ),
    ),
}

STREAMED: dict[str, tuple[Callable[[Any], Any], str, Any]] = {
    "generate": (
        lambda client: client.generate(TEXT, max_tokens=4, n=2, seed=3, top_k=2, stop_token_ids=[]),
        "Generate",
        pb.GenerateRequest(text=TEXT, max_tokens=4, n=2, seed=3, top_k=2, stop_token_ids=pb.TokenIds()),
    ),
    "resume": (
        lambda client: client.generate([5, 6], max_tokens=4, n=2, seed=3, resume={1: [14]}, temperature=0.5),
        "Generate",
        pb.GenerateRequest(
            token_ids=pb.TokenIds(ids=[5, 6]),
            max_tokens=4,
            n=2,
            seed=3,
            temperature=0.5,
            resume=[pb.GeneratedSoFar(index=1, token_ids=[14])],
        ),
    ),
    "grow": (
        lambda client: client.grow(TEXT, depth=2, max_nodes=8),
        "Grow",
        pb.GrowRequest(text=TEXT, depth=2, max_nodes=8),
    ),
    "influence": (
        lambda client: client.influence(f"{TEXT}<|endoftext|>", 14, unit="token", method="hide", special="text"),
        "Influence",
        pb.InfluenceRequest(
            text=f"{TEXT}<|endoftext|>",
            target=14,
            unit=pb.INFLUENCE_UNIT_KIND_TOKEN,
            method=pb.INFLUENCE_METHOD_HIDE,
            special=pb.SPECIAL_TOKENS_TEXT,
        ),
    ),
}


@pytest.mark.parametrize("name", UNARY)
async def test_answers_are_those_of_the_api(name: str, client: ntv.Client, stub: Any, server: ServerProcess) -> None:
    ask, rpc, request = UNARY[name]
    expected = plain(getattr(stub, rpc)(request))
    assert same(plain(ask(client)), expected)
    async with ntv.AsyncClient(server.target) as other:
        assert same(plain(await ask(other)), expected)


@pytest.mark.parametrize("name", STREAMED)
async def test_events_are_those_of_the_api(name: str, client: ntv.Client, stub: Any, server: ServerProcess) -> None:
    ask, rpc, request = STREAMED[name]
    expected = plain([getattr(each, each.WhichOneof("event")) for each in getattr(stub, rpc)(request)])
    assert len(expected) > 3
    assert same(plain(list(ask(client))), expected)
    async with ntv.AsyncClient(server.target) as other:
        assert same(plain([event async for event in ask(other)]), expected)


async def test_a_conversation_is_rendered(talker: str, client: ntv.Client, stub: Any, server: ServerProcess) -> None:
    messages = [pb.ChatMessage(role="user", content=TEXT)]
    expected = stub.RenderChat(pb.RenderChatRequest(model=talker, messages=messages, add_generation_prompt=True))
    assert same(plain(client.render_chat(TURNS, model=talker, add_generation_prompt=True)), plain(expected))
    async with ntv.AsyncClient(server.target) as other:
        answer = await other.render_chat(TURNS, model=talker, add_generation_prompt=True)
        assert same(plain(answer), plain(expected))
    assert client.top_k(answer.token_ids, model=talker).prompt.token_count == len(expected.token_ids)


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda client: client.layers(TEXT, position=99), "position"),
        (lambda client: client.compare(TEXT, ntv.Question(TEXT, top_p=2)), "b.top_p"),
        (lambda client: client.render_chat(TURNS), "model"),
        (lambda client: client.generate(TEXT, n=17), "n"),
        (lambda client: client.grow(TEXT, depth=0), "depth"),
        (lambda client: client.influence(TEXT, 10**6), "target"),
    ],
)
async def test_a_fault_of_the_request_names_its_field(
    ask: Callable[[Any], Any], field: str, client: ntv.Client, server: ServerProcess
) -> None:
    def take() -> list[Any]:
        answer = ask(client)
        return list(answer) if hasattr(answer, "send") else answer

    with pytest.raises(ntv.InvalidRequest) as raised:
        take()
    assert (raised.value.field, raised.value.rest) == (field, None)
    async with ntv.AsyncClient(server.target) as other:
        answer = ask(other)
        with pytest.raises(ntv.InvalidRequest) as raised:
            _ = [event async for event in answer] if hasattr(answer, "asend") else await answer
    assert raised.value.field == field


def test_a_wrong_argument_fails_before_the_call(client: ntv.Client) -> None:
    with pytest.raises((TypeError, ValueError)):
        client.grow(TEXT, breadth=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="GUESS"):
        client.influence(TEXT, 14, method="guess")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="seed"):
        client.generate(pb.GenerateRequest(text=TEXT), seed=1)


async def test_leaving_the_loop_cancels_on_the_server(client: ntv.Client, server: ServerProcess) -> None:
    for _ in client.generate([5], max_tokens=400, stop_token_ids=[]):
        break
    server.wait_for("call", rpc="Generate", code="CANCELLED")
    async with ntv.AsyncClient(server.target) as other:
        async for _ in other.grow([5], depth=100, max_nodes=2000):
            break
        await asyncio.to_thread(server.wait_for, "call", rpc="Grow", code="CANCELLED")


def test_layers_and_trees_and_comparisons_are_tables(client: ntv.Client) -> None:
    answer = client.layers(TEXT, top_k=2, watch_token_ids=[5])
    frame = ntv.to_pandas(answer)
    assert len(frame) == 3 * len(answer.layers)
    final = frame[(frame.layer == answer.layers[-1].layer) & ~frame.watched]
    expected = [each.probability for each in client.top_k(TEXT, top_k=2).candidates]
    assert list(final.probability) == pytest.approx(expected, abs=1e-4)
    assert set(frame[frame.watched].token_id) == {5}

    events = list(client.grow(TEXT, depth=2, max_nodes=6))
    frame = ntv.to_pandas(events)
    assert list(frame["id"]) == [1, 2, 3, 4, 5, 6]
    nodes = [event for event in events if isinstance(event, pb.GrownNode)]
    assert list(frame["text"]) == [node.token.token.text for node in nodes]
    assert len(ntv.rows(client.generate(TEXT, max_tokens=3, stop_token_ids=[]))) == 3

    compared = client.compare(TEXT, ntv.Question(TEXT, temperature=0), top_k=2)
    frame = ntv.to_pandas(compared)
    assert next(iter(frame.probability_b)) == 1
    assert list(frame.rank_a) == [each.a.rank for each in compared.candidates]
    assert list(ntv.to_pandas(compared.lost).text) == [each.token.text for each in compared.lost]


def test_the_documented_examples_run(server: ServerProcess, talker: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    examples = [part.split("```")[0] for part in page.split("```python\n")[2:]]
    assert len(examples) == 3
    for example in examples:
        code = example.replace("localhost:50051", server.target).replace("HuggingFaceTB/SmolLM2-360M-Instruct", talker)
        exec(compile(code, "docs/client.md", "exec"), {})  # noqa: S102 - our own
        assert len(capsys.readouterr().out.splitlines()) > 3
