"""The form that a mask asks for, as llguidance reads it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llguidance

from inference_server.errors import InvalidField
from inference_server.masks.form_sandbox import limits
from inference_server.sampler_messages import CHOICES, GRAMMAR, JSON_SCHEMA, REGEX, TextMask

MAX_WORDS = 300  # characters of the library's own words in an error
EXCERPT = re.compile(r"\n *\d+ \|")  # the text again, which the library adds to its words
GBNF = re.compile(r"^\s*[A-Za-z][\w-]*\s*::=", re.MULTILINE)
LARK = re.compile(r"^\s*(%llguidance\b|start\s*:(?!:=))", re.MULTILINE)
FREE = '%llguidance {"no_forcing": true}\n'  # a token need not be the one that the tokenizer itself would write


def grammar_of(mask: TextMask, free: bool = False) -> str:
    """For an LLMatcher. `free`: any token that fits, also where all texts go on the same. Raises InvalidField."""
    (text, *_) = mask.source
    if mask.kind == CHOICES:
        rule = "start: " + " | ".join(json.dumps(choice) for choice in mask.source)
        return lark(FREE + rule if free else rule)
    if mask.kind == REGEX:
        return lark(f"{FREE}start: /{llguidance.regex_to_lark(text)}/") if free else regex(text)
    if mask.kind == JSON_SCHEMA:
        schema = read_schema(text)
        return lark(f"{FREE}start: %json {schema}") if free else f'{{"grammars": [{{"json_schema": {schema}}}]}}'
    return lark(FREE + text if free else text)


def is_gbnf(mask: TextMask) -> bool:
    """Whether it is a grammar in llama.cpp's notation, as vLLM's clients send them."""
    return mask.kind == GRAMMAR and bool(GBNF.search(mask.source[0])) and not LARK.search(mask.source[0])


def lark(text: str) -> str:
    """A grammar; wrapped, since the library takes a bare text that begins with a brace for something else."""
    return json.dumps({"grammars": [{"lark_grammar": text}]})


def regex(text: str) -> str:
    """A regular expression."""
    found: str = llguidance.LLMatcher.grammar_from_regex(text)
    return found


def read_schema(text: str) -> str:
    """The JSON of a schema, checked. Raises InvalidField."""
    try:
        schema: Any = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise broken(JSON_SCHEMA, f"is no JSON: {error}") from error
    if not isinstance(schema, dict | bool):
        raise broken(JSON_SCHEMA, "must be an object, true or false")
    return json.dumps(schema)


def start(tokenizer: llguidance.LLTokenizer, grammar: str, kind: str) -> llguidance.LLMatcher:
    """At the beginning of a text of a form that was tried out. Raises InvalidField."""
    matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0, limits=limits())
    if matcher.is_error():
        raise broken(kind, f"can't be used: {matcher.get_error()}")
    return matcher


def broken(kind: str, fault: str) -> InvalidField:
    """The error about a form."""
    words = " ".join(EXCERPT.split(fault, maxsplit=1)[0].replace("<non-verbose/>", "").split())
    return InvalidField("samplers", f"{kind} of mask {words[:MAX_WORDS]}")


@contextmanager
def contained(kind: str) -> Iterator[None]:
    """Within, a panic in the library, which is no Exception, is a fault of the form."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise broken(kind, f"can't be used: {error}") from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")
