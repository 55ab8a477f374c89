"""Samplers as other servers name them, as sampler steps."""

from typing import Any

import msgspec
from msgspec import UNSET

from web_gateway.api.openai.requests import ResponseFormat, Sampling, StructuredOutputs
from web_gateway.errors import InvalidRequest
from web_gateway.sampler_messages import MAX_INT32, Mask, Penalty, Sampler, TokenBias, Xtc


def steps(query: Sampling) -> list[Sampler]:
    """In transformers' order, biases and penalties first; none if temperature, top_p and min_p are all there is."""
    changed = [*masked(query), *biased(query), *penalized(query)]
    plain = [
        Sampler(top_p=query.top_p) if query.top_p is not None else None,
        Sampler(min_p=query.min_p) if query.min_p is not None else None,
    ]
    top_k = Sampler(top_k=query.top_k) if query.top_k is not None and query.top_k > 0 else None
    others = [
        Sampler(typical_p=query.typical_p) if query.typical_p is not None and query.typical_p < 1 else None,
        Sampler(top_n_sigma=query.top_n_sigma) if query.top_n_sigma is not None and query.top_n_sigma > 0 else None,
        excluding(query),
    ]
    if not changed and top_k is None and not any(others):
        return []
    temperature = Sampler(temperature=1.0 if query.temperature is None else query.temperature)
    return [*changed, temperature, *(step for step in (top_k, *plain, *others) if step is not None)]


def masked(query: Sampling) -> list[Sampler]:
    """What the text is held to, if it is. Raises InvalidRequest."""
    names = guides(query)
    if len(names) > 1:
        raise InvalidRequest(f"{names[1]}: can't be given with {names[0]}", names[1])
    masks = {
        "response_format": lambda: Mask(json_schema=_schema(query.response_format)),
        "guided_json": lambda: Mask(json_schema=_read(query.guided_json, "guided_json")),
        "guided_regex": lambda: Mask(regex=query.guided_regex or UNSET),
        "guided_choice": lambda: Mask(choices=query.guided_choice or UNSET),
        "guided_grammar": lambda: Mask(grammar=query.guided_grammar or UNSET),
        "structured_outputs": lambda: _structured(query.structured_outputs or StructuredOutputs()),
    }
    return [Sampler(mask=masks[name]()) for name in names]


GUIDES = ("guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs")


def guides(query: Sampling) -> list[str]:
    """The fields that hold the text to something."""
    formatted = query.response_format is not None and query.response_format.type != "text"
    given = (name for name in GUIDES if getattr(query, name) is not None)
    return [*(["response_format"] if formatted else []), *given]


def _schema(form: ResponseFormat | None) -> dict[str, Any]:
    return form.json_schema.schema if form and form.json_schema else {"type": "object"}


def _structured(given: StructuredOutputs) -> Mask:
    if given.json is not None:
        return Mask(json_schema=_read(given.json, "structured_outputs"))
    if given.json_object:
        return Mask(json_schema={"type": "object"})
    return Mask(regex=given.regex or UNSET, choices=given.choice or UNSET, grammar=given.grammar or UNSET)


def _read(given: dict[str, Any] | str | None, field: str) -> dict[str, Any]:
    """A schema, or one as text. Raises InvalidRequest."""
    if not isinstance(given, str):
        return given or {}
    try:
        return msgspec.json.decode(given, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"{field}: must be a JSON Schema, an object: {error}", field) from error


def biased(query: Sampling) -> list[Sampler]:
    """What is added to some tokens' scores. Raises InvalidRequest."""
    if not query.logit_bias:
        return []
    if not all(name.isascii() and name.isdecimal() and int(name) <= MAX_INT32 for name in query.logit_bias):
        raise InvalidRequest("logit_bias: must be an object of token ids and numbers from -100 to 100", "logit_bias")
    biases = {int(name): bias for name, bias in query.logit_bias.items()}
    return [Sampler(logit_bias=[TokenBias(token_id=token_id, bias=bias) for token_id, bias in biases.items()])]


def penalized(query: Sampling) -> list[Sampler]:
    """Penalties for what the text has: repetition for all of it, the others for what was generated."""
    told: list[Sampler] = []
    repetition = query.repeat_penalty if query.repetition_penalty is None else query.repetition_penalty
    if repetition not in (None, 1) and query.repeat_last_n != 0:
        last = max(query.repeat_last_n or 0, query.repetition_penalty_range or 0)
        told.append(Sampler(repetition_penalty=Penalty(penalty=repetition or 1.0, last=last if last > 0 else UNSET)))
    if query.frequency_penalty:
        told.append(Sampler(frequency_penalty=Penalty(penalty=query.frequency_penalty, ignore_prompt=True)))
    if query.presence_penalty:
        told.append(Sampler(presence_penalty=Penalty(penalty=query.presence_penalty, ignore_prompt=True)))
    return told


def excluding(query: Sampling) -> Sampler | None:
    """XTC, if it is on."""
    if not query.xtc_probability:
        return None
    threshold = UNSET if query.xtc_threshold is None else query.xtc_threshold
    return Sampler(xtc=Xtc(probability=query.xtc_probability, threshold=threshold))
