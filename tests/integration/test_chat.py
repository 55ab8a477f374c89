"""RenderChat over a real socket, on small models with templates: ids, refusals in words, and nobody is held up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chats
import grpc
import pytest
import pytest_asyncio
import torch
from calls import bad_field, failure
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here
from transformers import AutoTokenizer

from inference_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_TEXT_BYTES = 20_000
HI = {"role": "user", "content": "Once upon a time"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """A server with the bundled model, which has no template, and three that have one."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("models")
    made = {
        "told": chats.build(place / "told"),
        "endless": chats.build(place / "endless", chats.ENDLESS),
        "broken": chats.build(place / "broken", chats.BROKEN),
    }
    settings = Settings(
        model="bundled",
        models=tuple(map(str, made.values())),
        grpc_port=0,
        max_text_bytes=MAX_TEXT_BYTES,
        drain_s=0,
        grace_s=PATIENCE_S,
    )
    async with server_here(settings) as server, connect(f"127.0.0.1:{server.port}") as stub:
        for name in ("bundled", *map(str, made.values())):
            await ready(stub, name)
        facts = {model.name: model.facts for model in server.registry.models()}
        yield SimpleNamespace(stub=stub, facts=facts, **{name: str(path) for name, path in made.items()})


def asked(model: str, *messages: dict[str, str], **fields: Any) -> pb.RenderChatRequest:
    return pb.RenderChatRequest(model=model, messages=[pb.ChatMessage(**each) for each in messages], **fields)


async def test_ids_are_those_of_transformers_and_can_be_sent_as_a_prompt(real: Any) -> None:
    judge = AutoTokenizer.from_pretrained(Path(real.told), local_files_only=True)
    talk = [{"role": "system", "content": "Be kind."}, HI, {"role": "assistant", "content": "there was"}, HI]
    answer = await real.stub.RenderChat(asked(real.told, *talk, add_generation_prompt=True))
    assert list(answer.token_ids) == judge.apply_chat_template(talk, add_generation_prompt=True, return_dict=False)
    assert [each.token.token_id for each in answer.tokens] == list(answer.token_ids)
    assert (answer.model, answer.context_limit) == (real.told, 512)
    roles = {(each.message, each.role) for each in answer.tokens if each.HasField("message")}
    assert roles == {(0, "system"), (1, "user"), (2, "assistant"), (3, "user"), (4, "assistant")}
    said = {
        at: "".join(each.token.text for each in answer.tokens if each.is_content and each.message == at).strip()
        for at in range(4)
    }
    assert said == {at: each["content"] for at, each in enumerate(talk)}
    assert not answer.tokens[0].HasField("message")
    next_ = await real.stub.TopK(pb.TopKRequest(model=real.told, token_ids=pb.TokenIds(ids=answer.token_ids)))
    assert next_.prompt.token_count == len(answer.token_ids)


async def test_the_last_turn_can_stay_open(real: Any) -> None:
    talk = [HI, {"role": "assistant", "content": "there was"}]
    answer = await real.stub.RenderChat(asked(real.told, *talk, continue_final_message=True))
    assert answer.text.endswith("assistant: there was")
    assert answer.tokens[-1].is_content
    assert answer.tokens[-1].role == "assistant"


async def test_what_a_model_can_not_do_is_in_its_facts(real: Any) -> None:
    assert real.facts["bundled"].chat_refusal == "this model has no chat template; send text"
    assert real.facts[real.told].chat_refusal == ""


NOBODY = {"role": "nobody", "content": "a"}
BOTH = {"add_generation_prompt": True, "continue_final_message": True}
ROWS: list[tuple[str, list[dict[str, str]], dict[str, Any], str, str]] = [
    ("bundled", [HI], {}, "model", "this model has no chat template; send text"),
    ("broken", [HI], {}, "model", "this model's chat template is broken: can only concatenate str"),
    ("told", [HI, {"role": "system", "content": "a"}], {}, "messages", "refuses them: The system message must come"),
    ("told", [], {}, "messages", "must be 1 to 1,000 messages, got 0"),
    ("told", [HI] * 1001, {}, "messages", "must be 1 to 1,000 messages, got 1,001"),
    ("told", [HI, NOBODY], {}, "messages", "role must be one of system, user, assistant, got 'nobody' at index 1"),
    ("told", [HI, {"content": "a"}], {}, "messages", "got '' at index 1"),
    ("told", [{"role": "user", "content": "a" * 20_001}], {}, "messages", "at most 20,000 bytes of UTF-8 in all"),
    ("told", [HI] * 200, {}, "messages", "tokens; this model's context window is 512"),
    ("told", [HI], BOTH, "continue_final_message", "can't be combined with add_generation_prompt"),
    ("told", [HI], {"special": 7}, "special", "must be one of 1 (token), 2 (text), got 7"),
]


@pytest.mark.parametrize(("model", "messages", "fields", "field", "words"), ROWS)
async def test_a_bad_conversation_is_refused(
    real: Any, model: str, messages: list[dict[str, str]], fields: dict[str, Any], field: str, words: str
) -> None:
    request = asked(getattr(real, model, model), *messages, **fields)
    failed = await failure(real.stub.RenderChat(request, timeout=PATIENCE_S))
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert words in (failed.details() or "")
    assert (await real.stub.RenderChat(asked(real.told, HI))).text == f"{chats.MARK}user: Once upon a time{chats.MARK}"


async def test_an_endless_template_holds_up_no_click(real: Any) -> None:
    endless = asyncio.ensure_future(failure(real.stub.RenderChat(asked(real.endless, HI), timeout=PATIENCE_S)))
    clicks = 0
    while not endless.done():
        await real.stub.TopK(pb.TopKRequest(model=real.endless, text="a" * (clicks % 20)), timeout=PATIENCE_S)
        clicks += 1
    assert clicks > 10
    assert "takes more than" in ((await endless).details() or "")


CALLS: dict[str, tuple[Any, Any]] = {
    "TopK": (pb.TopKRequest, {}),
    "Score": (pb.ScoreRequest, {}),
    "Layers": (pb.LayersRequest, {}),
    "Generate": (pb.GenerateRequest, {"max_tokens": 1}),
    "Grow": (pb.GrowRequest, {"depth": 1, "max_nodes": 1}),
    "Influence": (pb.InfluenceRequest, {"target": 5}),
}


async def ids_of(stub: Any, name: str, special: Any) -> list[int]:
    """The ids that a call made of a text which names a special token."""
    kind, fields = CALLS[name]
    request = kind(text=f"Once{chats.MARK} upon", special=special, **fields)
    if name in ("TopK", "Layers"):
        request.include_prompt_tokens = True
    call = getattr(stub, name)(request, timeout=PATIENCE_S)
    answer = await call.read() if hasattr(call, "read") else await call
    match name:
        case "TopK" | "Layers":
            return [token.token_id for token in answer.prompt.tokens]
        case "Score":
            return [each.candidate.token.token_id for each in answer.tokens]
        case "Influence":
            return [unit.end for unit in answer.start.units]
        case _:
            return list(answer.start.token_ids)


@pytest.mark.parametrize("name", CALLS)
async def test_the_name_of_a_special_token_is_that_token_or_text(real: Any, name: str) -> None:
    """In every call that takes a text; the bundled model's tokenizer is the judge."""
    judge = AutoTokenizer.from_pretrained(Path(real.told), local_files_only=True)
    text = f"Once{chats.MARK} upon"
    token = judge(text, add_special_tokens=False)["input_ids"]
    plain = judge(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    default = await ids_of(real.stub, name, pb.SPECIAL_TOKENS_UNSPECIFIED)
    as_token = await ids_of(real.stub, name, pb.SPECIAL_TOKENS_TOKEN)
    as_text = await ids_of(real.stub, name, pb.SPECIAL_TOKENS_TEXT)
    assert default == as_token
    if name == "Influence":
        assert (as_token[-1], as_text[-1]) >= (len(token), len(plain))
        assert as_text != as_token
    else:
        front = len(as_token) - len(token)
        assert (as_token[front:], as_text[front:]) == (token, plain)
    failed = await failure(ids_of(real.stub, name, 9))
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, "special")


async def test_each_side_of_a_comparison_reads_its_own(real: Any) -> None:
    side = {"text": f"Once{chats.MARK} upon"}
    request = pb.CompareRequest(a=side, b={**side, "special": pb.SPECIAL_TOKENS_TEXT}, include_prompt_tokens=True)
    answer = await real.stub.Compare(request, timeout=PATIENCE_S)
    assert len(answer.b.prompt.tokens) > len(answer.a.prompt.tokens)
