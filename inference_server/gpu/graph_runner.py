"""Decode steps of fixed shapes, captured as CUDA graphs: a few single tokens, padded to one of a few row counts.

Their buffers stay in place, so that a graph can be replayed with one launch. Padding rows write to spare blocks.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import structlog
import torch
from torch import Tensor

from inference_server.attention.batch import Batch, additive
from inference_server.attention.paged_attention import attention, running
from inference_server.gpu.cuda_graph import Record, Work
from inference_server.kvcache.kv_blocks import TokenKVBlocks

ROWS = (1, 2, 4, 8, 16, 32)
BLOCKS = (32, 128, 512, 2048)
PREPARED = ROWS[:-1]  # captured at load, with the fewest blocks
MOST_BYTES = 1 << 30  # of keys and values gathered for one layer
SPARED_BYTES = 1 << 29  # of the device's memory that graphs leave free, for the passes of long prompts
SAME = 1e-2  # the most that a replay may differ from the captured step, relative to the spread of logits

Shape = tuple[int, int]

logger = structlog.get_logger(__name__)


def spare_blocks(block_size: int) -> int:
    """Blocks for padding rows: a slot for each row."""
    return -(-ROWS[-1] // block_size)


class Inputs:
    """The inputs of one shape: int64 in one piece of the device's memory, and a copy on the host.

    `table` (rows, blocks + 1) has each row's blocks, and last the block for its own key and value, whose slot is in
    `slots`.
    """

    def __init__(self, shape: Shape, block_size: int, scratch: int, device: torch.device) -> None:
        """`scratch` is the first spare block."""
        rows, blocks = shape
        self.shape, self.block_size = shape, block_size
        host = np.zeros(rows * (blocks + 4), dtype=np.int64)
        self._host = torch.from_numpy(host)
        self._device = torch.zeros_like(self._host, device=device)
        self._ids, self._positions, self._slots = host[: 3 * rows].reshape(3, rows)
        self._table = host[3 * rows :].reshape(rows, blocks + 1)
        self.token_ids, self.positions, self.slots = self._device[: 3 * rows].view(3, rows)
        self.table = self._device[3 * rows :].view(rows, blocks + 1)
        self._spare = scratch + np.arange(rows) // block_size
        self._slots[:] = np.arange(rows) % block_size
        self._table[:] = self._spare[:, None]
        self._send()

    def fill(self, batch: Batch) -> None:
        """Sets the rows of a batch, followed by padding."""
        table, blocks = batch.rows
        size, count = self.block_size, len(table)
        self._ids[:count], self._ids[count:] = batch.token_ids, 0
        self._positions[:count], self._positions[count:] = table[:, 1], 0
        written = table[:, 2] >= 0
        self._slots[:] = np.arange(len(self._slots)) % size
        self._slots[:count][written] = table[written, 2] % size
        self._table[:, -1] = self._spare
        self._table[:count, -1][written] = table[written, 2] // size
        for row, (first, prefix, *_) in enumerate(table):
            used = -(-prefix // size)
            self._table[row, :used] = blocks[first : first + used]
        self._send()

    def vary(self, vocabulary: int) -> None:
        """Sets rows that differ from each other and from padding, and write to spare blocks."""
        rows = np.arange(len(self._ids))
        self._ids[:], self._positions[:] = (rows + 1) % vocabulary, rows % self.block_size
        self._slots[:] = rows % self.block_size
        self._table[:] = self._spare[:, None]
        self._send()

    def _send(self) -> None:
        self._device.copy_(self._host)


class PaddedPass:
    """A forward pass of one shape."""

    def __init__(self, inputs: Inputs, store: TokenKVBlocks) -> None:
        self._inputs = inputs
        self._store = store
        self._masks: dict[int | None, Tensor] = {}

    @cached_property
    def _own_blocks(self) -> Tensor:
        return self._inputs.table[:, -1].contiguous()

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        window: int | None,
        cap: float | None,
    ) -> Tensor:
        """As Attending.attend."""
        heads, rows, width = query.shape
        self._store.write(layer, self._own_blocks, self._inputs.slots, key.transpose(0, 1), value.transpose(0, 1))
        keys, values = self._store.gather(layer, self._inputs.table)
        grouped = query.transpose(0, 1).reshape(rows, len(key), heads // len(key), width)  # by the key head they use
        mixed = attention(grouped, keys, values, self._mask(window, query.dtype), scaling, cap)
        return mixed.reshape(rows, heads, -1)

    def _mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """(rows, 1, 1, tokens of the table), added to scores: each row sees its prompt and its own slot."""
        if window not in self._masks:
            table, size, before = self._inputs.table, self._inputs.block_size, self._inputs.positions[:, None]
            places = torch.arange((table.shape[1] - 1) * size, device=table.device)
            seen = places < before
            if window is not None:
                seen &= places > before - window
            own = torch.arange(size, device=table.device) == self._inputs.slots[:, None]
            self._masks[window] = additive(torch.cat((seen, own), 1), dtype)[:, None, None]
        return self._masks[window]


class GraphRunner:
    """Computes batches in which no new token sees another."""

    def __init__(
        self, model: Any, store: TokenKVBlocks, scratch: int, record: Record, free: Callable[[], int | None]
    ) -> None:
        """`model` uses the paged attention; `scratch` is the first of the store's spare blocks.

        `free` says how many bytes of the device's memory are free; None: no limit.
        """
        self._model = model
        self._store = store
        self._scratch = scratch
        self._record = record
        self._free = free
        self._vocabulary: int = model.config.get_text_config().vocab_size
        self._ready: dict[Shape, tuple[Inputs, Work] | None] = {}

    @property
    def shapes(self) -> Sequence[Shape]:
        """The shapes captured so far."""
        return [shape for shape, found in self._ready.items() if found]

    def prepare(self) -> None:
        """Captures the most common shapes."""
        for rows in PREPARED:
            self._find((rows, BLOCKS[0]))

    def fits(self, batch: Batch) -> bool:
        """Whether `run` can compute the batch; captures its shape if it is new."""
        shape = self._shape(batch)
        return shape is not None and self._find(shape) is not None

    @torch.inference_mode()
    def run(self, batch: Batch, _: object = None) -> Tensor:
        """Logits (new tokens, vocabulary) in float32. A graph, once it runs, is not interrupted."""
        shape = self._shape(batch)
        found = self._find(shape) if shape else None
        if found is None:
            raise ValueError("This is a bug: a batch that fits no shape.")
        inputs, replay = found
        inputs.fill(batch)
        return replay()[: len(batch)].clone()

    def _shape(self, batch: Batch) -> Shape | None:
        if not batch.single or batch.hides:
            return None
        rows = next((each for each in ROWS if each >= len(batch)), None)
        used = -(-batch.longest // self._store.block_size)
        blocks = next((each for each in BLOCKS if each >= used), None)
        if rows is None or blocks is None or rows * (blocks + 1) * self._store.layer_bytes > MOST_BYTES:
            return None
        return rows, blocks

    @torch.inference_mode()
    def _find(self, shape: Shape) -> tuple[Inputs, Work] | None:
        if shape not in self._ready:
            try:
                self._ready[shape] = self._capture(shape)
            except Exception as fault:  # whatever it is, the pass layer by layer is right
                logger.warning(
                    "step not captured, running layer by layer",
                    architecture=type(self._model).__name__, rows=shape[0], blocks=shape[1], reason=str(fault)[:300],
                )  # fmt: skip
                self._ready[shape] = None
        return self._ready[shape]

    def _bytes(self, shape: Shape) -> int:
        """About what a graph takes: two copies of one layer's keys and values, and logits, also as float32."""
        rows, blocks = shape
        return rows * (3 * (blocks + 1) * self._store.layer_bytes + 8 * self._vocabulary)

    def _capture(self, shape: Shape) -> tuple[Inputs, Work]:
        """Raises an exception of any kind if it can't be captured, or gives other numbers once its inputs change."""
        needed, free = self._bytes(shape), self._free()
        if free is not None and free - needed < SPARED_BYTES:
            raise MemoryError(f"capturing needs about {needed >> 20} MiB, and {free >> 20} MiB are free")
        inputs = Inputs(shape, self._store.block_size, self._scratch, self._store.keys[0].device)

        def step() -> Tensor:
            with running(PaddedPass(inputs, self._store)):
                found: Tensor = self._model(
                    input_ids=inputs.token_ids[None], position_ids=inputs.positions[None], use_cache=False
                ).logits[0]
            return found.float()

        replay = self._record(step)
        inputs.vary(self._vocabulary)
        error = _difference(step(), replay())
        if not error <= SAME:
            raise ArithmeticError(f"replayed logits differ by {error:.1e} of their spread")
        return inputs, replay


def _difference(wanted: Tensor, found: Tensor) -> float:
    """The largest one, relative to the spread of what is wanted."""
    return float((found - wanted).abs().max() / wanted.std())
