"""The Python client against a real server."""

from collections.abc import Iterator

import grpc
import pytest
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc
from servers import ROOT, run_inference_server

import next_token_visualizer as ntv

TEXT = "Once upon a time"


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with run_inference_server() as target:
        yield target


@pytest.fixture
def client(target: str) -> Iterator[ntv.Client]:
    with ntv.Client(target) as client:
        yield client


def test_its_answers_are_those_of_the_api(client: ntv.Client, target: str) -> None:
    mine = client.top_k(TEXT, top_k=3, temperature=0.5, include_prompt_tokens=True)
    with grpc.insecure_channel(target) as channel:
        stub = pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]
        theirs = stub.TopK(pb.TopKRequest(text=TEXT, top_k=3, temperature=0.5, include_prompt_tokens=True))
    assert mine.candidates == theirs.candidates
    assert mine.prompt.tokens == theirs.prompt.tokens


def test_ids_are_used_as_they_are(client: ntv.Client) -> None:
    answer = client.top_k(TEXT, include_prompt_tokens=True)
    ids = [token.token_id for token in answer.prompt.tokens]
    assert client.top_k(ids).candidates == answer.candidates


def test_the_name_of_a_special_token_can_be_text(client: ntv.Client) -> None:
    text = f"{TEXT}<|endoftext|>"
    for special, last in (("token", True), ("text", False)):
        answer = client.top_k(text, include_prompt_tokens=True, special=special)  # type: ignore[arg-type]
        assert answer.prompt.tokens[-1].is_special is last
        assert client.score(text, special=special).tokens[-1].candidate.token.is_special is last  # type: ignore[arg-type]


def test_a_score_agrees_with_the_prediction(client: ntv.Client) -> None:
    score = client.score(f"{TEXT},", top_k=2)
    first = client.top_k(TEXT, top_k=1).candidates[0]
    assert score.tokens[-1].candidate.logprob == pytest.approx(first.logprob, abs=1e-4)
    assert len(score.tokens[-1].alternatives) == 2


def test_the_rest_of_the_api(client: ntv.Client) -> None:
    (model,) = client.models()
    assert model.name == client.info().default_model == "bundled"
    assert client.load_model("bundled").state == pb.MODEL_STATE_READY
    watched = client.watch_models()
    assert next(watched) == [model]
    watched.close()  # type: ignore[attr-defined]  # a generator


def test_a_fault_of_the_request_names_its_field(client: ntv.Client) -> None:
    with pytest.raises(ntv.InvalidRequest) as raised:
        client.top_k(TEXT, temperature=-1)
    assert raised.value.field == "temperature"
    assert raised.value.request_id
    with pytest.raises(ValueError, match="temperature"):
        client.top_k(TEXT, temperature=-1)


def test_an_unknown_model_and_an_unknown_option(client: ntv.Client) -> None:
    with pytest.raises(ntv.NotFound):
        client.top_k(TEXT, model="nobody/nothing")
    with pytest.raises((TypeError, ValueError)):
        client.top_k(TEXT, topk=3)  # type: ignore[call-arg]


def test_no_server() -> None:
    with ntv.Client("127.0.0.1:1", timeout_s=5) as client, pytest.raises(ntv.Unavailable):
        client.models()


def test_a_timeout_is_one(target: str) -> None:
    with ntv.Client(target, timeout_s=1e-6) as client, pytest.raises(TimeoutError):
        client.top_k(TEXT)


def test_a_token_is_sent_and_required() -> None:
    secret = "a-token-of-some-length"  # noqa: S105
    with run_inference_server({"NEXTTOKEN_AUTH_TOKEN": secret}) as target:
        with ntv.Client(target, credentials=ntv.Credentials(token=secret, plaintext=True)) as client:
            assert client.top_k(TEXT).candidates
        with ntv.Client(target) as client, pytest.raises(ntv.Unauthenticated):
            client.top_k(TEXT)


async def test_the_asynchronous_client_answers_alike(target: str, client: ntv.Client) -> None:
    async with ntv.AsyncClient(target) as other:
        answer = await other.top_k(TEXT, top_k=4)
        assert answer.candidates == client.top_k(TEXT, top_k=4).candidates
        assert (await other.score(TEXT)).tokens == client.score(TEXT).tokens
        watched = other.watch_models()
        assert [model.name for model in await anext(watched)] == ["bundled"]
        await watched.aclose()  # type: ignore[attr-defined]  # a generator
        assert await other.models() == client.models()
        assert (await other.info()).default_model == (await other.load_model("bundled")).name
        with pytest.raises(ntv.InvalidRequest):
            await other.top_k(TEXT, top_k=0)


def test_the_documented_example_runs(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0].replace("localhost:50051", target)
    exec(compile(example, "docs/client.md", "exec"), {})  # noqa: S102 - our own
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == list("12345")
    assert float(lines[5]) > 1
