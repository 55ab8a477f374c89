"""Protobuf messages to plain values and back, field by field of the same name."""

from collections.abc import Callable, MutableSequence
from typing import Any, TypeVar

import msgspec
from google.protobuf.message import Message
from nexttoken.v1 import next_token_pb2 as pb

from inference_server import (
    chat_messages,
    compare_messages,
    generate_messages,
    grow_messages,
    layer_messages,
    messages,
    tokenize_messages,
)
from inference_server.api.sampler_wire import read_sampler
from inference_server.errors import InvalidField
from inference_server.models.model_status import ModelStatus

Q = TypeVar("Q")

READERS: dict[type[Message], Callable[[Any], Any]] = {  # of messages within a request
    pb.TokenIds: lambda message: tuple(message.ids),
    pb.Sampler: read_sampler,
    pb.PromptParts: lambda message: tuple(map(read_part, message.parts)),
    pb.ComparedQuestion: lambda message: read_query(compare_messages.ComparedQuestion, message),
    pb.ChatMessage: lambda message: read_query(chat_messages.ChatMessage, message),
    pb.GeneratedSoFar: lambda message: generate_messages.GeneratedSoFar(message.index, tuple(message.token_ids)),
}


def to_fields(value: Any) -> dict[str, Any]:
    """A dataclass as nested dicts, which protobuf's constructors accept for submessages."""
    fields: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(bytes,))
    return fields


def read_query(query: type[Q], request: Message) -> Q:
    """A request as a query; fields that the request leaves unset keep the query's defaults."""
    return query(
        **{
            field.name: read_enum(field, value) if field.enum_type else read(value)
            for field, value in request.ListFields()
            if field.name != "model"
        }
    )


def read_enum(field: Any, number: int) -> str:
    """A value's word: its name without the enum's own, in small letters. Raises InvalidField for an unknown one."""
    values = field.enum_type.values
    prefix = values[0].name.removesuffix("UNSPECIFIED")
    words: dict[int, str] = {value.number: value.name.removeprefix(prefix).lower() for value in values[1:]}
    if number not in words:
        allowed = ", ".join(f"{known} ({word})" for known, word in words.items())
        raise InvalidField(field.name, f"must be one of {allowed}, got {number}")
    return words[number]


def read(value: Any) -> Any:
    """A field's value as a plain one."""
    if isinstance(value, MutableSequence):
        return tuple(map(read, value))
    return READERS[type(value)](value) if isinstance(value, Message) else value


def read_part(part: pb.PromptPart) -> str | tuple[int, ...]:
    """A part of a prompt; one with nothing set holds no ids."""
    return part.text if part.HasField("text") else tuple(part.token_ids.ids)


def write_top_k(model: str, answer: messages.TopKAnswer) -> pb.TopKResponse:
    """An answer as its message."""
    return pb.TopKResponse(model=model, **with_prompt_and_kept(to_fields(answer)))


def with_prompt_and_kept(fields: dict[str, Any]) -> dict[str, Any]:
    """An answer's fields, with those about the prompt and about the filters in messages of their own."""
    prompt = {name: fields.pop(name) for name in ("token_count", "cached_tokens", "context_limit")}
    prompt["tokens"] = fields.pop("prompt_tokens")
    kept = {"count": fields.pop("kept_count"), "probability": fields.pop("kept_probability")}
    return {**fields, "prompt": prompt, "kept": kept}


def write_score(model: str, answer: messages.ScoreAnswer) -> pb.ScoreResponse:
    """Converts token by token: in one piece, a large answer would hold the GIL for more than a second."""
    return pb.ScoreResponse(
        model=model,
        tokens=map(scored_token_fields, answer.tokens),
        total_logprob=answer.total_logprob,
        perplexity=answer.perplexity,
        bits_per_byte=answer.bits_per_byte,
        context_limit=answer.context_limit,
        timings=to_fields(answer.timings),
    )


def scored_token_fields(token: messages.ScoredToken) -> dict[str, Any]:
    """Unconditioned tokens have no rank and no probability."""
    fields = to_fields(token)
    if token.unconditioned:
        fields["candidate"] = {"token": fields["candidate"]["token"]}
    return fields


def write_layers(model: str, answer: layer_messages.LayersAnswer) -> pb.LayersResponse:
    """An answer as its message."""
    prompt = {name: getattr(answer, name) for name in ("token_count", "cached_tokens", "context_limit")}
    return pb.LayersResponse(
        model=model,
        prompt=pb.Prompt(**prompt, tokens=map(to_fields, answer.prompt_tokens)),
        position=answer.position,
        layers=map(to_fields, answer.layers),
        commitment=to_fields(answer.commitment),
        contributions=[
            pb.Contribution(
                layer=each.layer, part=f"MODEL_PART_{each.part.upper()}", logit_difference=each.logit_difference
            )
            for each in answer.contributions
        ],
        logit_difference=answer.logit_difference,
        before_soft_cap=answer.before_soft_cap,
        attention=[
            pb.BlockAttention(heads=[pb.HeadAttention(weights=weights) for weights in heads])
            for heads in answer.attention
        ],
        timings=to_fields(answer.timings),
    )


def write_generate(model: str, event: generate_messages.GenerateEvent) -> pb.GenerateResponse:
    """An event as its message."""
    fields = to_fields(event)
    match event:
        case generate_messages.GenerateStart():
            return pb.GenerateResponse(start=pb.GenerateStart(model=model, **fields))
        case generate_messages.GeneratedToken():
            fields["kept"] = {"count": fields.pop("kept_count"), "probability": fields.pop("kept_probability")}
            return pb.GenerateResponse(token=pb.GeneratedToken(**fields))
        case generate_messages.GenerateFinish():
            fields["finish_reason"] = f"FINISH_REASON_{event.finish_reason.name}"
            return pb.GenerateResponse(finish=pb.GenerateFinish(**fields))


def write_compare(answer: compare_messages.CompareAnswer) -> pb.CompareResponse:
    """An answer as its message."""
    fields = to_fields(answer)
    return pb.CompareResponse(**fields | {side: with_prompt_and_kept(fields[side]) for side in ("a", "b")})


def write_grow(model: str, event: grow_messages.GrowEvent) -> pb.GrowResponse:
    """An event as its message."""
    fields = to_fields(event)
    match event:
        case grow_messages.GrowStart():
            return pb.GrowResponse(start=pb.GrowStart(model=model, **fields))
        case grow_messages.GrownNode():
            return pb.GrowResponse(node=pb.GrownNode(**fields))
        case grow_messages.GrownMass():
            return pb.GrowResponse(mass=pb.GrownMass(**fields))
        case grow_messages.GrowFinish():
            fields["finish_reason"] = f"GROW_FINISH_REASON_{event.finish_reason.name}"
            return pb.GrowResponse(finish=pb.GrowFinish(**fields))


def write_chat(model: str, answer: chat_messages.RenderChatAnswer) -> pb.RenderChatResponse:
    """An answer as its message."""
    return pb.RenderChatResponse(model=model, token_ids=answer.token_ids, **to_fields(answer))


def write_tokens(model: str, answer: tokenize_messages.TokenizeAnswer) -> pb.TokenizeResponse:
    """An answer as its message."""
    tokenizer = None if answer.tokenizer is None else pb.TokenizerFacts(**to_fields(answer.tokenizer))
    return pb.TokenizeResponse(
        model=model,
        tokens=map(to_fields, answer.tokens),
        context_limit=answer.context_limit,
        tokenizer=tokenizer,
        timings=to_fields(answer.timings),
    )


def write_model(model: ModelStatus) -> pb.Model:
    """A model's status as its message."""
    return pb.Model(**to_fields(model) | {"state": f"MODEL_STATE_{model.state.name}"})


def write_info(info: messages.Info) -> pb.InfoResponse:
    """The server's description as its message."""
    return pb.InfoResponse(**to_fields(info))
