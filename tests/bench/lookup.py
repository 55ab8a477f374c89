"""A prompt that is new but for its first token, among many stored prompts and among few, on the bundled model.

Each step finds what is stored of the prompt, computes the rest and keeps it. The stored prompts are put into the tree
without a pass, for nothing asks what follows them. The tree's own part is told beside it, in microseconds.
"""

import random
import time
from pathlib import Path
from typing import Any

import inference_server
from bench.stack import percentile
from inference_server.kvcache.block_pool import BlockPool
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.kvcache.radix_cache import RadixCache
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.sequence import Ids, Reading

FEW, MANY = 200, 20_000
ASKED = 100
TOKENS = 12
FIRST = 1
STORE_BYTES = 4 << 30  # taken from the system as pages are written
KEPT_BYTES = 64 << 20
VOCABULARY = 2_000


class Prompts:
    """Prompts that share their first token, no two alike."""

    def __init__(self) -> None:
        self._chance = random.Random(3)

    def __call__(self) -> Ids:
        return (FIRST, *(self._chance.randrange(VOCABULARY) for _ in range(TOKENS - 1)))


def steps(reader: Executor, prompts: Prompts) -> float:
    """Milliseconds of one prompt's step."""
    taken = []
    for _ in range(ASKED):
        reading = Reading(prompts())
        began = time.perf_counter()
        reader.step([reading])
        taken.append((time.perf_counter() - began) * 1e3)
        assert reading.logits is not None
    return percentile(taken, 0.5)


def store(tree: RadixCache, ids: Ids) -> float:
    """Microseconds that finding and storing a prompt takes of the tree alone."""
    began = time.perf_counter()
    held = tree.open(ids)
    at = len(held)
    tree.reserve(held, len(ids) - at)
    tree.commit(held, ids[at:])
    tree.close(held)
    return (time.perf_counter() - began) * 1e6


def in_the_tree(stored: int) -> float:
    """Microseconds of a new prompt, among so many, over pages that hold nothing."""
    prompts = Prompts()
    tree = RadixCache(BlockPool(range(stored + 2 * ASKED), 16), lambda source, target: None)
    return percentile([store(tree, prompts()) for _ in range(stored + ASKED)][-ASKED:], 0.5)


def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    bundled = Path(inference_server.__file__).parent / "bundled"
    kept: LogitsCache[Any] = LogitsCache(KEPT_BYTES)
    model = Model.load(bundled, "cpu", STORE_BYTES)
    reader, runner, prompts = Executor(model, kept, 512, 0.3), model.runner, Prompts()
    assert runner is not None
    for _ in range(FEW - ASKED):
        store(runner.tree, prompts())
    few = steps(reader, prompts)
    while runner.tree.pages < MANY:
        store(runner.tree, prompts())
    many = steps(reader, prompts)
    assert not runner.tree.evicted_pages  # or fewer are stored than it says
    figures = {
        "lookup_few_ms": few,
        "lookup_many_ms": many,
        "lookup_flatness": many / few,
        "lookup_tree_few_us": in_the_tree(FEW),
        "lookup_tree_many_us": in_the_tree(MANY),
    }
    print(f"a new prompt among {MANY:,} stored ones that share its first token, and among {FEW}")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
