"""Limits on an Influence request, as a pure function. Raises InvalidField as those of validation do."""

from inference_server.engine.validation import check_prompt
from inference_server.errors import InvalidField
from inference_server.influence_messages import METHODS, UNITS, InfluenceQuery


def check_influence(query: InfluenceQuery, vocab_size: int, max_text_bytes: int, max_budget: int) -> None:
    """All of an InfluenceQuery that can be checked without the tokenizer."""
    check_prompt(query.text, query.token_ids, vocab_size, max_text_bytes)
    for field, name, allowed in (("unit", query.unit, UNITS), ("method", query.method, METHODS)):
        if name not in allowed:
            raise InvalidField(field, f"must be one of {', '.join(allowed)}, got {name}")
    if query.target is None:
        raise InvalidField("target", "must be given: the id of the token whose log-odds are measured")
    for field, token_id in (
        ("target", query.target),
        ("contrast", query.contrast),
        ("replace_with", query.replace_with),
    ):
        if token_id is not None and not 0 <= token_id < vocab_size:
            raise InvalidField(field, f"must be an id from 0 to {vocab_size - 1:,}, got {token_id:,}")
    if query.contrast == query.target:
        raise InvalidField("contrast", f"must be another token than target, got {query.target:,} for both")
    if query.method != "take_out":
        for field, value in (("replace_with", query.replace_with), ("budget", query.budget)):
            if value is not None:
                raise InvalidField(field, f"only method take_out takes it, not {query.method}")
    if query.budget is not None and not 1 <= query.budget <= max_budget:
        raise InvalidField("budget", f"must be from 1 to {max_budget:,}, got {query.budget:,}")
