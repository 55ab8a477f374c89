"""Requests from the arguments of the clients' methods."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nexttoken.v1 import next_token_pb2 as pb

from next_token_visualizer.options import (
    CompareOptions,
    GenerateOptions,
    GrowOptions,
    InfluenceOptions,
    LayersOptions,
    Prompt,
    Question,
    RenderChatOptions,
    ScoreOptions,
    TokenizeOptions,
    TopKOptions,
    Turn,
)
from next_token_visualizer.samplers import Step

ENUMS = {"special": "SPECIAL_TOKENS", "unit": "INFLUENCE_UNIT_KIND", "method": "INFLUENCE_METHOD"}


def prompt(given: Prompt) -> dict[str, Any]:
    """The fields for a prompt."""
    return {"text": given} if isinstance(given, str) else {"token_ids": pb.TokenIds(ids=given)}


def fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a message's fields."""
    names = {name: f"{enum}_{options[name].upper()}" for name, enum in ENUMS.items() if options.get(name) is not None}
    steps = {"samplers": [sampler(step) for step in options["samplers"]]} if "samplers" in options else {}
    return {**options, **names, **steps}


def sampler(step: Step) -> pb.Sampler:
    """A step as Sampler. Raises ValueError for an unknown name, or for more than one."""
    ((name, value),) = step.items()
    if name == "ban":
        return pb.Sampler(ban=pb.TokenIds(ids=value))
    if name == "logit_bias":
        biases = [pb.TokenBias(token_id=token_id, bias=bias) for token_id, bias in value.items()]
        return pb.Sampler(logit_bias=pb.LogitBias(biases=biases))
    given: dict[str, Any] = {name: mask(value) if name == "mask" else value}
    return pb.Sampler(**given)


def mask(given: Mapping[str, Any]) -> pb.Mask:
    """Choices as a list; a schema as its object, or as its text."""
    form = dict(given)
    if "choices" in form:
        form["choices"] = pb.Choices(texts=form["choices"])
    if not isinstance(form.get("json_schema", ""), str):
        form["json_schema"] = json.dumps(form["json_schema"])
    return pb.Mask(**form)


def top_k(given: Prompt, options: TopKOptions) -> pb.TopKRequest:
    """As TopKRequest."""
    return pb.TopKRequest(**prompt(given), **fields(options))


def score(given: Prompt, options: ScoreOptions) -> pb.ScoreRequest:
    """As ScoreRequest."""
    return pb.ScoreRequest(**prompt(given), **fields(options))


def layers(given: Prompt, options: LayersOptions) -> pb.LayersRequest:
    """As LayersRequest."""
    return pb.LayersRequest(**prompt(given), **fields(options))


def generate(given: Prompt | pb.GenerateRequest, options: GenerateOptions) -> pb.GenerateRequest:
    """As GenerateRequest; one that is given stands as it is. Raises TypeError for one with options."""
    if isinstance(given, pb.GenerateRequest):
        if options:
            raise TypeError(f"a request has its options already; remove {', '.join(options)}")
        return given
    values = fields(options)
    if (stops := values.get("stop_token_ids")) is not None:
        values["stop_token_ids"] = pb.TokenIds(ids=stops)
    if (so_far := values.get("resume")) is not None:
        values["resume"] = [pb.GeneratedSoFar(index=index, token_ids=ids) for index, ids in so_far.items()]
    return pb.GenerateRequest(**prompt(given), **values)


def grow(given: Prompt, options: GrowOptions) -> pb.GrowRequest:
    """As GrowRequest."""
    return pb.GrowRequest(**prompt(given), **fields(options))


def influence(given: Prompt, target: int, options: InfluenceOptions) -> pb.InfluenceRequest:
    """As InfluenceRequest."""
    return pb.InfluenceRequest(**prompt(given), target=target, **fields(options))


def compare(a: Prompt | Question, b: Prompt | Question, options: CompareOptions) -> pb.CompareRequest:
    """As CompareRequest."""
    return pb.CompareRequest(a=side(a), b=side(b), **fields(options))


def side(given: Prompt | Question) -> pb.ComparedQuestion:
    """As ComparedQuestion."""
    options = asdict(given if isinstance(given, Question) else Question(given))
    return pb.ComparedQuestion(**prompt(options.pop("prompt")), **fields(options))


def tokenize(text: Prompt, options: TokenizeOptions) -> pb.TokenizeRequest:
    """As TokenizeRequest."""
    return pb.TokenizeRequest(**prompt(text), **fields(options))


def render_chat(messages: Sequence[Turn], options: RenderChatOptions) -> pb.RenderChatRequest:
    """As RenderChatRequest."""
    return pb.RenderChatRequest(messages=[pb.ChatMessage(**each) for each in messages], **fields(options))
