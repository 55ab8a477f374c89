"""Tries forms out in a sandbox of its own (`host/sandbox.py`). Knows nothing of this project.

llguidance's limits bound the states of a form while it is read and followed, but not all of its work on it: the
intersection of thirty patterns in one JSON Schema never returns. Only a process can be kept from using up time.

A request is {"grammar": for llguidance}, its answer {"fault": empty if none}; or {"gbnf": a grammar in llama.cpp's
notation}, answered with {"lark": the same in llguidance's, "fault": empty if none}.
"""

from typing import Any

import llguidance
from llguidance.gbnf_to_lark import gbnf_to_lark

CPU_S = 2.0  # of one request
MEMORY_BYTES = 1 << 30
LEXER_STATES = 20_000  # of 1 to 2 kB each: what a form may take while it is followed


def limits() -> llguidance.LLParserLimits:
    """The library's own, but for its memory and for what it tells in errors."""
    return llguidance.LLParserLimits(max_lexer_states=LEXER_STATES, verbose_errors=False)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Reads a form, for no tokenizer, so that its special tokens are not looked up; then begins with single bytes."""
    if "gbnf" in request:
        return translated(request["gbnf"])
    grammar, allowed = request["grammar"], limits()
    fault = llguidance.LLMatcher.validate_grammar(grammar, None, limits=allowed)
    if not fault:
        matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar, log_level=0, limits=allowed)
        if not matcher.is_error():
            matcher.compute_bitmask()
    return {"fault": fault}


def translated(gbnf: str) -> dict[str, Any]:
    """As the library itself translates it."""
    try:
        return {"lark": gbnf_to_lark(gbnf), "fault": ""}
    except Exception as error:  # it raises all kinds, plain ones too, about what it can't read
        return {"lark": "", "fault": str(error) or type(error).__name__}
