"""Converts between the gateway's structs and protobuf messages. Fields match by name: a new one needs no code here."""

from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from msgspec import UNSET, Struct, structs
from nexttoken.v1 import next_token_pb2 as pb

from web_gateway import (
    compare_messages,
    generate_messages,
    grow_messages,
    influence_messages,
    layer_messages,
    messages,
    model_messages,
    tokenize_messages,
)


def words_of(enum: Any) -> dict[int, str]:
    """An enum's numbers and the words that the JSON has for them: their names without the enum's own."""
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix).lower() for value in enum.values[1:]}


MODEL_STATES: dict[int, model_messages.ModelState] = {
    pb.MODEL_STATE_QUEUED: "queued",
    pb.MODEL_STATE_DOWNLOADING: "downloading",
    pb.MODEL_STATE_LOADING: "loading",
    pb.MODEL_STATE_READY: "ready",
    pb.MODEL_STATE_FAILED: "failed",
}
MODEL_PARTS: dict[int, layer_messages.ModelPart] = {
    pb.MODEL_PART_EMBEDDING: "embedding",
    pb.MODEL_PART_ATTENTION: "attention",
    pb.MODEL_PART_MLP: "mlp",
    pb.MODEL_PART_BIAS: "bias",
}
FINISH_REASONS = {
    pb.FINISH_REASON_STOP_TOKEN: "stop_token",
    pb.FINISH_REASON_STOP_TEXT: "stop_text",
    pb.FINISH_REASON_LENGTH: "length",
    pb.FINISH_REASON_CANCELLED: "cancelled",
}
GROW_FINISH_REASONS = {
    pb.GROW_FINISH_REASON_COVERAGE: "coverage",
    pb.GROW_FINISH_REASON_MAX_NODES: "max_nodes",
    pb.GROW_FINISH_REASON_COMPLETE: "complete",
}
ENUMS: dict[str, Any] = {
    "ModelState": MODEL_STATES,
    "ModelPart": MODEL_PARTS,
    "FinishReason": FINISH_REASONS,
    "GrowFinishReason": GROW_FINISH_REASONS,
    "InfluenceUnitKind": words_of(pb.InfluenceUnitKind.DESCRIPTOR),
    "InfluenceMethod": words_of(pb.InfluenceMethod.DESCRIPTOR),
}
INFLUENCE_EVENTS: dict[str, type[Struct]] = {  # as GENERATE_EVENTS
    "start": influence_messages.InfluenceStart,
    "change": influence_messages.InfluenceChange,
    "done": influence_messages.InfluenceEnd,
}
GENERATE_EVENTS: dict[str, type[Struct]] = {  # by their names in the oneof and in the event stream
    "start": generate_messages.GenerateStart,
    "token": generate_messages.GeneratedToken,
    "finish": generate_messages.GenerateFinish,
}
GROW_EVENTS: dict[str, type[Struct]] = {
    "start": grow_messages.GrowStart,
    "node": grow_messages.GrownNode,
    "mass": grow_messages.GrownMass,
    "finish": grow_messages.GrowFinish,
}
INLINED = ("token", "candidate")  # submessages whose fields the JSON has one level up
UNCONDITIONED: dict[str, None] = dict.fromkeys(("rank", "logit", "probability", "logprob", "entropy_bits"))

M = TypeVar("M", bound=Message)
S = TypeVar("S", bound=Struct)
P = TypeVar("P", messages.NextTokenAnswer, layer_messages.LayersAnswer)


def to_message(request: Struct, kind: type[M]) -> M:
    """The request as protobuf. Fields that were not given stay unset, so the server's defaults apply."""
    return kind(**to_fields(msgspec.to_builtins(request), kind.DESCRIPTOR))


def to_fields(given: Mapping[str, Any], message: Any) -> dict[str, Any]:
    """What a message's constructor takes: as given, but for what the JSON has as arrays and these as messages."""
    fields = dict(given)
    for name, value in given.items():
        inner = message.fields_by_name[name].message_type
        if (enum := message.fields_by_name[name].enum_type) is not None:
            fields[name] = next(number for number, word in words_of(enum).items() if word == value)
        elif inner is not None and inner.full_name == pb.TokenIds.DESCRIPTOR.full_name:
            fields[name] = {"ids": value}
        elif inner is not None and inner.full_name == pb.PromptParts.DESCRIPTOR.full_name:
            fields[name] = pb.PromptParts(parts=map(to_part, value))
        elif inner is not None and inner.full_name == pb.LogitBias.DESCRIPTOR.full_name:
            fields[name] = {"biases": value}
        elif inner is not None and inner.full_name == pb.Choices.DESCRIPTOR.full_name:
            fields[name] = {"texts": value}
        elif inner is not None:
            fields[name] = to_fields(value, inner) if isinstance(value, dict) else [to_fields(i, inner) for i in value]
        elif isinstance(value, dict):  # a schema, which is sent as text
            fields[name] = msgspec.json.encode(value).decode()
    return fields


def to_event(message: Message, kinds: Mapping[str, type[Struct]]) -> tuple[str, Struct]:
    """One message of a stream, a oneof named `event`: the event's name and content."""
    name = message.WhichOneof("event")
    if name not in kinds:
        raise LookupError(f"{message.DESCRIPTOR.full_name} has an unknown event")
    return name, to_struct(getattr(message, name), kinds[name])


def to_part(part: str | list[int]) -> pb.PromptPart:
    """Text or token ids."""
    return pb.PromptPart(text=part) if isinstance(part, str) else pb.PromptPart(token_ids=pb.TokenIds(ids=part))


def to_struct(message: Message, kind: type[S]) -> S:
    """The message as a struct of this kind."""
    read: Callable[[Any], S] = reader(kind, message.DESCRIPTOR)
    return read(message)


def next_token_answer(response: pb.TopKResponse, with_prompt_tokens: bool) -> messages.NextTokenAnswer:
    """The answer; the prompt's tokens only if the request asked for them."""
    return trimmed(to_struct(response, messages.NextTokenAnswer), with_prompt_tokens)


def layers_answer(response: pb.LayersResponse, with_prompt_tokens: bool) -> layer_messages.LayersAnswer:
    """The answer; the prompt's tokens only if the request asked for them."""
    return trimmed(to_struct(response, layer_messages.LayersAnswer), with_prompt_tokens)


def trimmed(answer: P, with_prompt_tokens: bool) -> P:
    """The answer with its prompt's tokens, or without."""
    if with_prompt_tokens:
        return answer
    return structs.replace(answer, prompt=structs.replace(answer.prompt, tokens=UNSET))


def compare_answer(response: pb.CompareResponse, with_prompt_tokens: bool) -> compare_messages.CompareAnswer:
    """The answer; the prompts' tokens only if the request asked for them."""
    answer = to_struct(response, compare_messages.CompareAnswer)
    if with_prompt_tokens:
        return answer
    a, b = (structs.replace(side, prompt=structs.replace(side.prompt, tokens=UNSET)) for side in (answer.a, answer.b))
    return structs.replace(answer, a=a, b=b)


def tokenize_answer(response: pb.TokenizeResponse) -> tokenize_messages.TokenizeAnswer:
    """The answer; what the tokenizer says of itself only if the server told."""
    answer = to_struct(response, tokenize_messages.TokenizeAnswer)
    return answer if response.HasField("tokenizer") else structs.replace(answer, tokenizer=UNSET)


def score_answer(response: pb.ScoreResponse) -> messages.ScoreAnswer:
    """The answer; tokens that nothing precedes have no numbers."""
    answer = to_struct(response, messages.ScoreAnswer)
    tokens = [structs.replace(token, **UNCONDITIONED) if token.unconditioned else token for token in answer.tokens]
    return structs.replace(answer, tokens=tokens)


@cache
def reader(kind: type[S], message: Descriptor) -> Callable[[Any], S]:
    """Compiles a function that copies a message of one type into a struct of one kind, as dataclasses make `__init__`.

    Large scores hold a million fields: a loop over the fields takes half again as long.
    """
    names: dict[str, Any] = {"kind": kind, **ENUMS}
    parts = [f"{name}={expression(message, name, hint, names)}" for name, hint in get_type_hints(kind).items()]
    read: Callable[[Any], S] = eval(f"lambda message: kind({', '.join(parts)})", names)  # noqa: S307  # of our own names
    return read


def expression(message: Any, name: str, hint: Any, names: dict[str, Any]) -> str:
    """The Python expression for one field of a struct; adds the readers that it calls to `names`."""
    path, field = locate(message, name)
    value = f"message.{path}"
    if field.enum_type:
        return f"{field.enum_type.name}.get({value}, 'unknown')"
    if path.endswith("_ms"):
        return f"round({value}, 3)"
    if field.message_type and (struct := struct_in(hint)) is None:
        return nested_lists(value, field.message_type)
    if field.message_type:
        names[f"read_{name}"] = reader(struct, field.message_type)
        if field.is_repeated:
            return f"[read_{name}(item) for item in {value}]"
        value = f"read_{name}({value})"
    elif field.is_repeated:
        return f"list({value})"
    if field.has_presence and NoneType in get_args(hint):
        owner = f"message.{path}".rpartition(".")[0]
        return f"{value} if {owner}.HasField({field.name!r}) else None"
    return value


def nested_lists(value: str, message: Any) -> str:
    """The expression for repeated messages that have one repeated field each, as a list of lists."""
    (only,) = message.fields
    inner = f"item.{only.name}"
    return f"[{nested_lists(inner, only.message_type) if only.message_type else f'list({inner})'} for item in {value}]"


def locate(message: Any, name: str) -> tuple[str, Any]:
    """The dotted path to a struct's field within a message. Raises LookupError."""
    for spelling in (name, f"{name}_ms", name.removesuffix("_ms")):
        if spelling in message.fields_by_name:
            return spelling, message.fields_by_name[spelling]
    for outer in INLINED:
        if outer in message.fields_by_name:
            path, field = locate(message.fields_by_name[outer].message_type, name)
            return f"{outer}.{path}", field
    raise LookupError(f"{message.full_name} has no field {name}")


def struct_in(hint: Any) -> type[Struct] | None:
    """The struct in a type such as `list[Token] | UnsetType`, if there is one."""
    for part in (hint, *get_args(hint), *(inner for outer in get_args(hint) for inner in get_args(outer))):
        if isinstance(part, type) and issubclass(part, Struct):
            return part
    return None
