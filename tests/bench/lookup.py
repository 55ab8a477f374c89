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
from inference_server.scheduler import worker
from inference_server.sequence import Ids, Sequence

FEW, MANY = 200, 20_000
ASKED = 100
TOKENS = 12
FIRST = 1
STORE_BYTES = 4 << 30  # taken from the system as blocks are written
KEPT_BYTES = 64 << 20
VOCABULARY = 2_000


class Prompts:
    """Prompts that share their first token, no two alike."""

    def __init__(self) -> None:
        self._chance = random.Random(3)

    def __call__(self) -> Ids:
        return (FIRST, *(self._chance.randrange(VOCABULARY) for _ in range(TOKENS - 1)))


def step(executor: Executor, ids: Ids) -> float:
    """Milliseconds of one prompt's step."""
    sequence = Sequence[Any](ids, executor, lambda _, rows: rows)
    began = time.perf_counter()
    worker.step([sequence])
    took_ms = (time.perf_counter() - began) * 1e3
    assert sequence.done
    return took_ms


def store(tree: RadixCache, ids: Ids) -> float:
    """Microseconds that finding and storing a prompt takes of the tree alone."""
    began = time.perf_counter()
    held = tree.match_prefix(ids)
    at = len(held)
    tree.allocate(held, len(ids) - at)
    tree.insert(held, ids[at:])
    tree.close(held)
    return (time.perf_counter() - began) * 1e6


def executor_among(stored: int, prompts: Prompts) -> Executor:
    """The bundled model with so many prompts stored."""
    model = Model.load(Path(inference_server.__file__).parent / "bundled", "cpu", STORE_BYTES)
    runner = model.runner
    assert runner is not None
    for _ in range(stored):
        store(runner.tree, prompts())
    assert not runner.tree.evicted_blocks  # or fewer are stored than it says
    return Executor("bundled", model, LogitsCache[Any](KEPT_BYTES), 512, 0.3)


def tree_among(stored: int, prompts: Prompts) -> RadixCache:
    """A tree with so many prompts stored, over blocks that hold nothing."""
    tree = RadixCache(BlockPool(range(stored + 2 * ASKED), 16), lambda source, target: None)
    for _ in range(stored):
        store(tree, prompts())
    return tree


def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    prompts = Prompts()
    executors = [executor_among(stored, prompts) for stored in (FEW, MANY)]
    trees = [tree_among(stored, prompts) for stored in (FEW, MANY)]
    steps = [[step(each, prompts()) for each in executors] for _ in range(ASKED)]  # in turn: both meet the same noise
    stores = [[store(each, prompts()) for each in trees] for _ in range(ASKED)]
    few, many = (percentile(list(taken), 0.5) for taken in zip(*steps, strict=True))
    tree_few, tree_many = (percentile(list(taken), 0.5) for taken in zip(*stores, strict=True))
    figures = {
        "lookup_few_ms": few,
        "lookup_many_ms": many,
        "lookup_flatness": many / few,
        "lookup_tree_few_us": tree_few,
        "lookup_tree_many_us": tree_many,
    }
    print(f"a new prompt among {MANY:,} stored ones that share its first token, and among {FEW}")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
