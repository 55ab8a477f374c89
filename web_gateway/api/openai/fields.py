"""Reads requests: fields that other servers know are taken, must be at their neutral value, or are ignored."""

import json
from typing import Any, TypeVar

import msgspec

from web_gateway.api.schemas import parse, quoted, reject_duplicates
from web_gateway.errors import InvalidRequest

R = TypeVar("R", bound=msgspec.Struct)

LABELS = (
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
)
ENGINES = ("cache_prompt", "id_slot", "priority", "request_id", "max_context_length", "truncation_length", "n_keep")
SAMPLERS = (
    *("tfs", "tfs_z", "top_a", "mirostat", "mirostat_mode", "mirostat_tau", "mirostat_eta", "penalize_nl"),
    *("dynamic_temperature", "dynatemp_low", "dynatemp_high", "dynatemp_range", "dynatemp_exponent"),
    *("smoothing_factor", "smoothing_curve", "typical"),
    *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers", "dry_range"),
    *("epsilon_cutoff", "eta_cutoff"),
    *("no_repeat_ngram_size", "encoder_repetition_penalty", "do_sample", "length_penalty"),
    *("sampler_seed", "sampler_order", "sampler_priority", "samplers", "temperature_last", "min_keep"),
    *("banned_tokens", "ban_eos_token", "add_bos_token", "custom_token_bans", "guidance_scale", "early_stopping"),
)
IGNORED = frozenset((*LABELS, *ENGINES, *SAMPLERS))
"""Fields that have no effect here; answers name those that were sent in the header x-ignored-fields."""

OFF: tuple[Any, ...] = (None, False, [], {}, "")
NEUTRAL: dict[str, tuple[tuple[Any, ...], str]] = {
    "best_of": ((None, 1), "choosing among completions is not supported; leave it out, or ask for n"),
    "suffix": ((None, ""), "filling in is not supported; leave it out"),
    "tools": (OFF, "tools are not supported; leave it out"),
    "tool_choice": ((*OFF, "none", "auto"), "tools are not supported; leave it out"),
    "parallel_tool_calls": ((*OFF, True), "tools are not supported; leave it out"),
    "functions": (OFF, "functions are not supported; leave it out"),
    "function_call": ((*OFF, "none", "auto"), "functions are not supported; leave it out"),
    "modalities": ((None, ["text"]), 'only ["text"] is supported'),
    "audio": (OFF, "sound is not supported; leave it out"),
    "prediction": (OFF, "predicted outputs are not supported; leave it out"),
    "reasoning_effort": ((None, "none"), "reasoning is not supported; leave it out"),
    "verbosity": ((None, "medium"), "it is not supported; leave it out"),
    "web_search_options": (OFF, "searching is not supported; leave it out"),
    "grammar": (OFF, "it is not supported; send guided_grammar"),
    "grammar_string": (OFF, "it is not supported; send guided_grammar"),
    "json_schema": (OFF, "it is not supported; send response_format or guided_json"),
    "min_tokens": ((None, 0), "a least number of tokens is not supported; leave it out or send 0"),
    "use_beam_search": (OFF, "beam search is not supported here; see /api/grow"),
    "truncate_prompt_tokens": (OFF, "prompts are never shortened; leave it out"),
    "skip_special_tokens": ((None, True), "texts never contain special tokens; leave it out or send true"),
    "spaces_between_special_tokens": ((None, True, False), ""),
    "include_stop_str_in_output": (OFF, "texts end before a stop text; leave it out or send false"),
    "chat_template": (OFF, "the model's own template is used; leave it out"),
    "chat_template_kwargs": (OFF, "templates take no settings; leave it out"),
}
"""Fields that are accepted only where they ask for nothing, and why."""


def read(body: bytes | bytearray, kind: type[R]) -> tuple[R, list[str]]:
    """The request, and the names of the fields that it ignores. Raises InvalidRequest."""
    try:
        given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        known = set(kind.__struct_fields__)
        ignored = sorted((IGNORED - known) & given.keys())
        neutral = {name: msgspec.json.decode(given[name]) for name in (NEUTRAL.keys() - known) & given.keys()}
        if ignored or neutral:
            json.loads(body, object_pairs_hook=reject_duplicates)
    except (ValueError, RecursionError):
        return parse(body, kind), []  # which says what is wrong
    if not ignored and not neutral:
        return parse(body, kind), []
    for name, value in neutral.items():
        allowed, why = NEUTRAL[name]
        if not any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in allowed):
            shown = quoted(json.dumps(value, ensure_ascii=False))
            raise InvalidRequest(f"{name}: {why}; got {shown}", name)
    for name in (*ignored, *neutral):
        del given[name]
    return parse(msgspec.json.encode(given), kind), ignored
