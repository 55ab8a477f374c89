"""How a model computes its sequences: what all ways have in common, and the two that know no blocks."""

from collections.abc import Callable
from collections.abc import Sequence as Tokens
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor

from inference_server.errors import InvalidField
from inference_server.runtime.hf_cache import HFCache
from inference_server.runtime.lens import Lens, Take
from inference_server.runtime.whole_pass import WholePass
from inference_server.sequence import Ids, Sequence, Trace
from inference_server.stats import KVCacheStats

UNHIDABLE = (
    "hide needs the keys and values of the whole prompt in the cache, and this model or prompt does not fit it; use "
    "take_out, or shorten the text"
)

Receive = Callable[[Sequence[Any], int, Tensor | None], None]
"""Takes a sequence, how many of its tokens were computed, and the logits (n, V) it waited for, if they are ready."""


class Backend(Protocol):
    """One way to compute sequences."""

    @property
    def batched(self) -> bool:
        """Whether several sequences may share a pass."""
        ...

    @property
    def interruptible(self) -> bool:
        """Whether a pass ends early where its sequences' interruption asks for it."""
        ...

    @property
    def stats(self) -> KVCacheStats | None:
        """Of its cache, from any thread; None if it has none."""
        ...

    def match(self, sequence: Sequence[Any]) -> None:
        """Searches the cache: sets `num_cached_tokens` and `single_pass`. What it finds is pinned until `release`."""
        ...

    def execute(self, batch: list[tuple[Sequence[Any], int]], receive: Receive) -> None:
        """Computes up to that many tokens of each matched sequence; all of those in need of a single pass."""
        ...

    def trace(self, sequence: Sequence[Any], receive: Receive) -> None:
        """Computes all that is left of a matched sequence, and what its trace asks for."""
        ...

    def release(self) -> None:
        """Unpins what `match` found."""
        ...

    def expect(self, ids: Ids) -> None:
        """A prompt was answered: one of its likely next tokens may be asked for."""
        ...

    def next_to_prefetch(self) -> Ids | None:
        """The newest answered prompt that waits for a prefetch, and waits no longer."""
        ...

    def prefetch(self, ids: Ids, choices: Tokens[int], keep: Callable[[int, Tensor], object]) -> bool:
        """Computes next tokens of a prompt and calls `keep` with each and its logits (V,); says whether it did."""
        ...

    def adopt(self, ids: Ids) -> bool:
        """Caches a prompt's last token for good if it was prefetched; says whether it was."""
        ...

    def prefetched(self, ids: Ids) -> bool:
        """Whether a prompt's last token was prefetched. From any thread."""
        ...


class WholePassBackend:
    """Every prompt in one pass: for models that can't continue from a cache. Nothing is prefetched."""

    batched = False
    interruptible = False

    def __init__(self, whole_pass: WholePass, lens: Lens | None = None) -> None:
        """`lens` is for traces."""
        self._whole_pass = whole_pass
        self._lens = lens

    @property
    def stats(self) -> KVCacheStats | None:
        """None."""
        return None

    def match(self, sequence: Sequence[Any]) -> None:
        """Nothing is cached."""
        sequence.num_cached_tokens, sequence.single_pass = 0, True

    def execute(self, batch: list[tuple[Sequence[Any], int]], receive: Receive) -> None:
        """As Backend.execute."""
        for sequence, _ in batch:
            compute_whole(self._whole_pass, sequence, receive)

    def trace(self, sequence: Sequence[Any], receive: Receive) -> None:
        """As Backend.trace."""
        with watching(self._lens, sequence.trace, len(sequence.token_ids)):
            self.execute([(sequence, sequence.remaining)], receive)

    def release(self) -> None:
        """Nothing is pinned."""

    def expect(self, ids: Ids) -> None:
        """Ignored."""

    def next_to_prefetch(self) -> Ids | None:
        """None."""
        return None

    def prefetch(self, ids: Ids, choices: Tokens[int], keep: Callable[[int, Tensor], object]) -> bool:
        """Does nothing."""
        return False

    def adopt(self, ids: Ids) -> bool:
        """Nothing was prefetched."""
        return False

    def prefetched(self, ids: Ids) -> bool:
        """Nothing was prefetched."""
        return False


class HFCacheBackend(WholePassBackend):
    """One prompt at a time from transformers' own caches; scores in one pass."""

    def __init__(self, cache: HFCache, whole_pass: WholePass, lens: Lens | None = None) -> None:
        super().__init__(whole_pass, lens)
        self._cache = cache

    @property
    def stats(self) -> KVCacheStats | None:
        """As Backend.stats."""
        return self._cache.stats

    def match(self, sequence: Sequence[Any]) -> None:
        """As Backend.match; a prompt that others evict time and again goes in a single pass."""
        sequence.single_pass = sequence.rowwise or sequence.recomputed or not self._cache.chunks
        sequence.num_cached_tokens = 0 if sequence.rowwise else self._cache.match(sequence.token_ids)

    def execute(self, batch: list[tuple[Sequence[Any], int]], receive: Receive) -> None:
        """As Backend.execute."""
        for sequence, count in batch:
            if sequence.rowwise:
                compute_whole(self._whole_pass, sequence, receive)
            else:
                computed, logits = self._cache.advance(sequence.token_ids, count)
                receive(sequence, computed, None if logits is None else logits[None])


def watching(lens: Lens | None, trace: Trace | None, tokens: int) -> AbstractContextManager[Take]:
    """Within, a pass over the end of a prompt of that many tokens is traced."""
    if lens is None or trace is None:
        raise RuntimeError("This is a bug: a trace of a model without a lens.")
    return lens.watching(trace, tokens)


def compute_whole(whole_pass: WholePass, sequence: Sequence[Any], receive: Receive) -> None:
    """Computes a sequence in one pass, without a cache. Raises InvalidField if it takes one."""
    ids = sequence.token_ids
    if sequence.hidden:
        raise InvalidField("method", UNHIDABLE)
    if sequence.every_row:
        sequence.outputs.clear()
        whole_pass.each_logits(ids, lambda rows: receive(sequence, len(rows), rows))
    else:
        receive(sequence, len(ids), whole_pass.last_logits(ids)[None])
