"""What a freshly loaded model may be trusted with, found out by asking it. Knows no torch beyond its tensors.

No table of architectures says which of them honour `logits_to_keep`; a few short passes do.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from inference_server.errors import LoadFailed

LENGTHS = (3, 8)  # of the prompts tried
SAME_PROBABILITY = 1e-4  # the most that two ways to one probability may differ; more where logits have 16 bits
SAME_LOGITS = 10  # times as much of their logits, relative to the spread; flat distributions show little in probability
LEARNED = re.compile(r"(^|\.)(wpe|positions_embed|embed_positions|position_embeddings)$")
SEES_AHEAD = 0.1  # relative difference of logits that rounding can't explain in any dtype

logger = structlog.get_logger()


class Probed(Protocol):
    """The parts of a model that a trial uses and sets."""

    context_limit: int
    vocab_size: int
    selects_rows: bool

    @property
    def rounding(self) -> float:
        """How far two neighbouring numbers around 1 lie apart in the logits it gives."""
        ...

    def last_logits(self, token_ids: Sequence[int]) -> Any: ...

    def map_logits(self, describe: Callable[[int, Any], Sequence[Any]], token_ids: Sequence[int]) -> list[Any]: ...


def run(model: Probed) -> None:
    """Sets `selects_rows` where that gives the same numbers as computing every position.

    Raises LoadFailed where a token changes what the model says of those before it, or its logits are no numbers.
    """
    ids = [1 + 5 * i % max(1, min(model.vocab_size, 100) - 1) for i in range(max(LENGTHS))][: model.context_limit]
    prompts = [ids[:length] for length in LENGTHS if length <= len(ids)] or [ids]
    alone = [model.last_logits(prompt) for prompt in prompts]
    every = model.map_logits(_copied, ids)
    for row in (*alone, *every):
        if not bool(row.isfinite().all()):
            what = "not a number (NaN)" if bool(row.isnan().any()) else "infinite"
            raise LoadFailed(
                f"its logits are {what}: its weights may be damaged, or need more range than their format has"
            )
    for prompt, expected in zip(prompts, alone, strict=True):
        if _relative(every[len(prompt) - 1], expected) > SEES_AHEAD:
            raise LoadFailed("not a causal LM: later tokens change what it says of earlier ones")
    step = model.rounding * max(float(row.abs().max()) for row in alone)  # from the largest logit to the next number
    most = max(SAME_PROBABILITY, step)
    model.selects_rows = True
    model.selects_rows = _agree(
        "logits_to_keep",
        [*every, every[-1]],
        lambda: [*model.map_logits(_copied, ids), model.last_logits(ids)],  # all of them, and fewer than all
        most,
    )
    logger.debug("model tried out", selects_rows=model.selects_rows)


def longest(network: Any, stated: int) -> int:
    """The most tokens a network can place: as many as stated, or as its table of learned positions has rows for.

    Some tables have rows that no token takes: before the first one, as many as `offset` says, or up to the padding's.
    """
    for name, part in network.named_modules():
        if LEARNED.search(name) and (rows := getattr(part, "num_embeddings", None)):
            padding = getattr(part, "padding_idx", None)
            unused = getattr(part, "offset", 0 if padding is None else padding + 1)
            stated = min(stated, rows - unused)
    return stated


def _copied(first: int, rows: Any) -> Any:
    return [*rows.clone()]


def _agree(what: str, expected: Sequence[Any], compute: Callable[[], Sequence[Any]], most: float) -> bool:
    """Whether another way of computing works at all and gives the expected logits, to `most` in probability."""
    try:
        found = compute()
    except Exception as error:  # whatever an architecture raises for what it does not support
        logger.debug("model does without", what=what, error=repr(error)[:200])
        return False
    pairs = zip(found, expected, strict=False)
    return len(found) == len(expected) and all(_same(here, there, most) for here, there in pairs)


def _same(found: Any, expected: Any, most: float) -> bool:
    if found.shape != expected.shape or _relative(found, expected) > SAME_LOGITS * most:
        return False
    return float((found.softmax(0) - expected.softmax(0)).abs().max()) <= most


def _relative(found: Any, expected: Any) -> float:
    """Size of the difference over the spread of what was expected."""
    spread = float((expected - expected.mean()).norm())
    return float((found - expected).norm()) / max(spread, 1e-30)
