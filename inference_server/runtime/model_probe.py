"""What a network that was just loaded can do, found out with a few short passes instead of a table of architectures."""

import re
from dataclasses import dataclass
from typing import Any

import structlog
import torch
from torch import Tensor

from inference_server.errors import LoadFailed
from inference_server.runtime.whole_pass import WholePass

LENGTHS = (3, 8)  # of the prompts tried
SAME_PROBABILITY = 1e-4  # the most that two ways to one probability may differ; more where logits have 16 bits
SAME_LOGITS = 10  # times as much of their logits, relative to the spread; flat distributions show little in probability
LEARNED = re.compile(r"(^|\.)(wpe|positions_embed|embed_positions|position_embeddings)$")
SEES_AHEAD = 0.1  # relative difference of logits that rounding can't explain in any dtype
BY_LENGTH = ("dynamic", "longrope")  # rotary embeddings that depend on the prompt's length

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a network can do."""

    vocab_size: int
    """Rows of its output, which may be more than its tokenizer has tokens."""
    context_limit: int
    """The most tokens of a prompt."""
    selects_rows: bool
    """Whether it computes logits only at the positions that `logits_to_keep` names."""
    continues: bool
    """Whether keys and values of a prompt hold for a longer one."""


def probe(network: Any, device: torch.device, stated_limit: int) -> Capabilities:
    """Tries a network out; `stated_limit` is the context that its files state.

    Raises LoadFailed if a token changes the logits of those before it, or logits are not finite.
    """
    context_limit = longest(network, stated_limit)
    plain = WholePass(network, device, selects_rows=False)
    first = plain.logits([0], torch.tensor([0]))
    vocab_size = first.shape[1]
    ids = [1 + 5 * i % max(1, min(vocab_size, 100) - 1) for i in range(max(LENGTHS))][:context_limit]
    every = _every_logits(plain, ids)
    shorter = [ids[:length] for length in LENGTHS if length < len(ids)]
    _check_causal(shorter, [plain.last_logits(prompt) for prompt in shorter], every)
    step = torch.finfo(first.dtype).eps * float(every.abs().max())  # between neighbouring logits
    selects_rows = _selects_rows(network, device, ids, every, max(SAME_PROBABILITY, step))
    rotations = {str(getattr(part, "rope_type", "")) for part in network.modules()}
    continues = not any(kind in rotation for kind in BY_LENGTH for rotation in rotations)
    found = Capabilities(vocab_size, context_limit, selects_rows, continues)
    logger.debug("model probed", capabilities=found)
    return found


def longest(network: Any, stated: int) -> int:
    """The longest prompt: as stated, or as many tokens as a table of learned positions has rows for.

    Some tables have rows that no token takes: before the first one, as many as `offset` says, or up to the padding's.
    """
    for name, part in network.named_modules():
        if LEARNED.search(name) and (rows := getattr(part, "num_embeddings", None)):
            padding = getattr(part, "padding_idx", None)
            unused = getattr(part, "offset", 0 if padding is None else padding + 1)
            stated = min(stated, rows - unused)
    return stated


def _check_causal(prompts: list[list[int]], alone: list[Tensor], every: Tensor) -> None:
    for row in (*alone, *every):
        if not bool(row.isfinite().all()):
            what = "not a number (NaN)" if bool(row.isnan().any()) else "infinite"
            raise LoadFailed(
                f"its logits are {what}: its weights may be damaged, or need more range than their format has"
            )
    for prompt, expected in zip(prompts, alone, strict=True):
        if _relative(every[len(prompt) - 1], expected) > SEES_AHEAD:
            raise LoadFailed("not a causal LM: later tokens change what it says of earlier ones")


def _selects_rows(network: Any, device: torch.device, ids: list[int], every: Tensor, tolerance: float) -> bool:
    """Whether it gives the same logits for the positions it is asked for: all of them, and fewer than all."""
    selecting = WholePass(network, device, selects_rows=True)
    try:
        with selecting.body_computed_once():
            found = torch.cat((_every_logits(selecting, ids), selecting.last_logits(ids)[None]))
    except Exception as error:  # whatever an architecture raises for what it doesn't support
        logger.debug("logits_to_keep is not supported", error=repr(error)[:200])
        return False
    expected = torch.cat((every, every[-1:]))
    return found.shape == expected.shape and all(map(_same, found, expected, [tolerance] * len(found)))


def _every_logits(passes: WholePass, ids: list[int]) -> Tensor:
    blocks = list[Tensor]()
    passes.each_logits(ids, lambda rows: blocks.append(rows.clone()))
    return torch.cat(blocks)


def _same(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    if _relative(found, expected) > SAME_LOGITS * tolerance:
        return False
    return float((found.softmax(0) - expected.softmax(0)).abs().max()) <= tolerance


def _relative(found: Tensor, expected: Tensor) -> float:
    """Size of the difference, relative to the spread of what was expected."""
    spread = float((expected - expected.mean()).norm())
    return float((found - expected).norm()) / max(spread, 1e-30)
