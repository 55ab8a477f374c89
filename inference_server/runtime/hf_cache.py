"""transformers' own caches of prompts, for models that can't use the paged pass.

Only the model knows what its cache holds (keys and values, a window of them, a recurrent state). It is copied whole
before a prompt continues from it, and cropped to a shared prefix if it can be.
"""

import copy
import inspect
import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
import torch
from torch import Tensor

from inference_server.runtime.capability import Sample, difference, take_sample
from inference_server.stats import KVCacheStats

NAMES = ("past_key_values", "cache_params", "state")  # what models call their cache
FEW = 4  # for models that continue by single tokens only: with more to compute, they start from the beginning

logger = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class CacheEntry:
    """A model's cache after some tokens."""

    cache: Any
    nbytes: int
    end: bool
    """Whether a prompt ended there, and not just a chunk of one."""


class HFCache:
    """Caches by token ids; the least recently used are evicted first. One thread at a time.

    `used_bytes` counts the storage of their tensors and the ids, and never exceeds `limit_bytes`.
    """

    def __init__(self, network: Any, name: str, limit_bytes: int, *, last_only: bool = False) -> None:
        """`name` is the network's name for its cache; `last_only`: it can be asked for its last logits alone."""
        self.chunks = True
        """Whether a prompt continues by several tokens in one pass."""
        self.cuts = True
        """Whether a cache can be cropped to any prefix."""
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.hit_tokens = 0
        self.evicted = 0  # caches
        self._network = network
        self._name = name
        self._asked = {"logits_to_keep": 1} if last_only else {}
        self._entries: OrderedDict[bytes, CacheEntry] = OrderedDict()

    @property
    def stats(self) -> KVCacheStats:
        """From any thread."""
        stray = self.used_bytes - sum(entry.nbytes for entry in list(self._entries.values()))
        return KVCacheStats(
            self.hit_tokens,
            self.evicted,
            used_blocks=self.used_bytes,
            blocks=self.limit_bytes,
            block_bytes=1,
            open_prompts=0,
            stray_holds=stray,
        )

    @torch.inference_mode()
    def advance(self, token_ids: Sequence[int], most: int) -> tuple[int, Tensor | None]:
        """Computes up to `most` tokens of a prompt beyond the cached ones; all of them without `chunks`.

        Returns how many, and the (V,) float32 logits after the prompt once it is done.
        """
        done, cache = self._resume(token_ids)
        self.hit_tokens += done
        if self.chunks:
            stop = min(len(token_ids), done + most)
            parts = [token_ids[done:stop]]
        else:
            stop = len(token_ids)
            parts = [[each] for each in token_ids[done:]] if done else [token_ids]
        for part in parts:
            logits, cache = self._forward(part, cache)
        end = stop == len(token_ids)
        self._keep(_key(token_ids[:stop]), cache, end)
        return stop - done, logits if end else None

    def match(self, token_ids: Sequence[int]) -> int:
        """How many first tokens of a prompt are cached, at most all but the last."""
        return self._find(token_ids)[1]

    def _find(self, token_ids: Sequence[int]) -> tuple[bytes | None, int]:
        """The cache that shares the most first tokens with a prompt, not all of them, and how many it shares."""
        key, found, most = _key(token_ids[:-1]), None, 0
        least = 1 if self.chunks else max(1, len(token_ids) - FEW)
        for other in self._entries:
            shared = _shared(key, other) if self.cuts else len(other) if key.startswith(other) else 0
            if shared > most or (shared == most and shared == len(other)):
                found, most = other, shared
        count = most // WIDTH
        return (None, 0) if found is None or count < least else (found, count)

    def _resume(self, token_ids: Sequence[int]) -> tuple[int, Any]:
        """How many first tokens are computed already, and a cache of those to continue from."""
        found, count = self._find(token_ids)
        if found is None:
            return 0, None
        entry, whole = self._entries[found], count * WIDTH == len(found)
        self._entries.move_to_end(found)
        if whole and (self.cuts or not entry.end):  # it can be cut back, or nobody goes back to it
            return count, self._drop(found).cache
        cache = copy.deepcopy(entry.cache)
        if not whole:
            try:
                cache.crop(count - len(found) // WIDTH)
            except RuntimeError:  # a sliding window has moved on
                self.cuts = False
                return self._resume(token_ids)
        return count, cache

    def _forward(self, token_ids: Sequence[int], cache: Any) -> tuple[Tensor, Any]:
        given = {} if cache is None else {self._name: cache}
        ids = torch.tensor([[*token_ids]], device=self._network.device)
        output = self._network(input_ids=ids, use_cache=True, **given, **self._asked)
        return output.logits[0, -1].float().cpu().clone(), getattr(output, self._name)

    def _keep(self, key: bytes, cache: Any, end: bool) -> None:
        if key in self._entries:
            self._drop(key)
        cost = sum({each.data_ptr(): each.nbytes() for each in _storages(cache)}.values()) + sys.getsizeof(key)
        if cost > self.limit_bytes:
            return
        while self.used_bytes + cost > self.limit_bytes:
            self._drop(next(iter(self._entries)))
            self.evicted += 1
        self._entries[key] = CacheEntry(cache, cost, end)
        self.used_bytes += cost

    def _drop(self, key: bytes) -> CacheEntry:
        entry = self._entries.pop(key)
        self.used_bytes -= entry.nbytes
        return entry


WIDTH = array("i").itemsize


def _key(token_ids: Sequence[int]) -> bytes:
    return array("i", token_ids).tobytes()


def _shared(some: bytes, others: bytes) -> int:
    """How many first bytes are the same, in whole tokens."""
    size = min(len(some), len(others))
    apart = np.frombuffer(some[:size], np.int32) != np.frombuffer(others[:size], np.int32)
    return int(apart.argmax()) * WIDTH if apart.any() else size


def _storages(value: Any) -> Iterator[torch.UntypedStorage]:
    """Of every tensor in a cache, whatever the cache is made of."""
    if isinstance(value, Tensor):
        yield value.untyped_storage()
        return
    if isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, type):
        parts = ()
    else:
        parts = [*(value if isinstance(value, Mapping) else getattr(value, "__dict__", {})).values()]
    for part in parts:
        yield from _storages(part)


def build_hf_cache(network: Any, limit_bytes: int, *, last_only: bool) -> HFCache | None:
    """A network's own caches; None if it gives other numbers with them, or there is no room.

    `last_only`: whether it can be asked for its last logits alone.
    """
    takes = inspect.signature(network.forward).parameters
    name = next((each for each in NAMES if each in takes), None)
    if name is None or limit_bytes <= 0:
        return None
    states = HFCache(network, name, limit_bytes, last_only=last_only)
    try:
        with torch.inference_mode():
            _try_out(states, take_sample(network, choices=0))
    except Exception as fault:  # whatever it is, the whole pass is right
        logger.debug("own cache not used", architecture=type(network).__name__, reason=str(fault)[:200])
        return None
    return states


def _try_out(states: HFCache, sample: Sample) -> None:
    """Sets `chunks` and `cuts`. Raises an exception of any kind if even single tokens give other numbers."""
    prompt, wanted = sample.prompt, sample.wanted
    at, back = len(prompt) // 2, len(prompt) // 4
    logits, cache = states._forward(prompt[:at], None)

    def right(sizes: Sequence[int], cut: int = 0) -> bool:
        """Whether chunks of these sizes give the whole prompt's numbers after the cache, or after less of it."""
        again, first, same = copy.deepcopy(cache), at - cut, True
        if cut:
            again.crop(-cut)
        for size in sizes:
            found, again = states._forward(prompt[first : first + size], again)
            first += size
            same = same and difference(found, wanted[first - 1]) <= sample.tolerance
        return same

    if not (difference(logits, wanted[at - 1]) <= sample.tolerance and right([1] * FEW) and right([1])):
        raise ArithmeticError("other numbers with the cache")
    states.chunks = right([len(prompt) - at - 1, 1])
    try:
        states.cuts = right([1, 1], back) and (not states.chunks or right([back, back], back))
    except Exception:  # a cache that can't be cropped
        states.cuts = False
