"""Steps of fixed shapes: a few single tokens, padded to one of a few row counts, over buffers that stay in place.

So a GPU can record a step once and replay it with one launch. Rows of padding write to pages that no prompt uses.
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
PAGES = (32, 128, 512, 2048)
PREPARED = ROWS[:-1]  # with the fewest pages, at load
MOST_BYTES = 1 << 30  # of keys and values gathered for one layer
SPARED_BYTES = 1 << 29  # of the device's memory, which a recording keeps for good: what long prompts' passes work in
SAME = 1e-2  # relative to the spread of logits: what a replay may differ by from the work it records

Shape = tuple[int, int]

logger = structlog.get_logger(__name__)


def spare_pages(page_tokens: int) -> int:
    """Pages that a store needs beyond those prompts use: a slot for each row."""
    return -(-ROWS[-1] // page_tokens)


class Inputs:
    """What a step of one shape reads, as int64 in one piece of the device's memory, and a copy of it to fill.

    `table` (rows, pages + 1) has each row's pages and last the page its own key and value go to, in `slots`.
    """

    def __init__(self, shape: Shape, page_tokens: int, scratch: int, device: torch.device) -> None:
        """`scratch` is the first of the pages for padding."""
        rows, pages = shape
        self.shape, self.page_tokens = shape, page_tokens
        host = np.zeros(rows * (pages + 4), dtype=np.int64)
        self._host = torch.from_numpy(host)
        self._device = torch.zeros_like(self._host, device=device)
        self._ids, self._positions, self._slots = host[: 3 * rows].reshape(3, rows)
        self._table = host[3 * rows :].reshape(rows, pages + 1)
        self.token_ids, self.positions, self.slots = self._device[: 3 * rows].view(3, rows)
        self.table = self._device[3 * rows :].view(rows, pages + 1)
        self._spare = scratch + np.arange(rows) // page_tokens
        self._slots[:] = np.arange(rows) % page_tokens
        self._table[:] = self._spare[:, None]
        self._send()

    def fill(self, batch: Batch) -> None:
        """Sets the rows of a batch, and padding behind them."""
        table, pages = batch.rows
        size, count = self.page_tokens, len(table)
        self._ids[:count], self._ids[count:] = batch.token_ids, 0
        self._positions[:count], self._positions[count:] = table[:, 1], 0
        stored = table[:, 2] >= 0
        self._slots[:] = np.arange(len(self._slots)) % size
        self._slots[:count][stored] = table[stored, 2] % size
        self._table[:, -1] = self._spare
        self._table[:count, -1][stored] = table[stored, 2] // size
        for row, (first, prefix, _) in enumerate(table):
            used = -(-prefix // size)
            self._table[row, :used] = pages[first : first + used]
        self._send()

    def vary(self, vocabulary: int) -> None:
        """Sets rows that differ from each other and from padding, and store nothing that prompts use."""
        rows = np.arange(len(self._ids))
        self._ids[:], self._positions[:] = (rows + 1) % vocabulary, rows % self.page_tokens
        self._slots[:] = rows % self.page_tokens
        self._table[:] = self._spare[:, None]
        self._send()

    def _send(self) -> None:
        self._device.copy_(self._host)


class PaddedPass:
    """The forward pass of one shape: what attention reads, and where it stores."""

    def __init__(self, inputs: Inputs, store: TokenKVBlocks) -> None:
        self._inputs = inputs
        self._store = store
        self._masks: dict[int | None, Tensor] = {}

    @cached_property
    def _own_pages(self) -> Tensor:
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
        self._store.write(layer, self._own_pages, self._inputs.slots, key.transpose(0, 1), value.transpose(0, 1))
        keys, values = self._store.gather(layer, self._inputs.table)
        grouped = query.transpose(0, 1).reshape(rows, len(key), heads // len(key), width)  # by the key head they use
        mixed = attention(grouped, keys, values, self._mask(window, query.dtype), scaling, cap)
        return mixed.reshape(rows, heads, -1)

    def _mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """(rows, 1, 1, tokens of the table), added to scores: each row sees its prompt and its own slot."""
        if window not in self._masks:
            table, size, before = self._inputs.table, self._inputs.page_tokens, self._inputs.positions[:, None]
            places = torch.arange((table.shape[1] - 1) * size, device=table.device)
            seen = places < before
            if window is not None:
                seen &= places > before - window
            own = torch.arange(size, device=table.device) == self._inputs.slots[:, None]
            self._masks[window] = additive(torch.cat((seen, own), 1), dtype)[:, None, None]
        return self._masks[window]


class GraphRunner:
    """Replaces the forward pass of a batch in which no new token sees another one."""

    def __init__(
        self, model: Any, store: TokenKVBlocks, scratch: int, record: Record, free: Callable[[], int | None]
    ) -> None:
        """`model` has the ragged attention set; `scratch` is the first of the store's spare pages.

        `free` says how many bytes a recording may still take; None: as many as it likes.
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
        """The shapes that are recorded."""
        return [shape for shape, found in self._ready.items() if found]

    def prepare(self) -> None:
        """Records the shapes that are asked for most."""
        for rows in PREPARED:
            self._find((rows, PAGES[0]))

    def fits(self, batch: Batch) -> bool:
        """Whether `run` can compute the batch; records its shape at first sight."""
        shape = self._shape(batch)
        return shape is not None and self._find(shape) is not None

    @torch.inference_mode()
    def run(self, batch: Batch) -> Tensor:
        """Logits (new tokens, vocabulary) in float32."""
        shape = self._shape(batch)
        found = self._find(shape) if shape else None
        if found is None:
            raise ValueError("This is a bug: a batch that fits no shape.")
        inputs, replay = found
        inputs.fill(batch)
        return replay()[: len(batch)].clone()

    def _shape(self, batch: Batch) -> Shape | None:
        if not batch.single:
            return None
        rows = next((each for each in ROWS if each >= len(batch)), None)
        used = -(-batch.longest // self._store.page_tokens)
        pages = next((each for each in PAGES if each >= used), None)
        if rows is None or pages is None or rows * (pages + 1) * self._store.layer_bytes > MOST_BYTES:
            return None
        return rows, pages

    @torch.inference_mode()
    def _find(self, shape: Shape) -> tuple[Inputs, Work] | None:
        if shape not in self._ready:
            try:
                self._ready[shape] = self._recorded(shape)
            except Exception as fault:  # whatever a model does that can't be recorded, the pass layer by layer is right
                logger.warning(
                    "steps of this shape run layer by layer",
                    architecture=type(self._model).__name__, rows=shape[0], pages=shape[1], reason=str(fault)[:300],
                )  # fmt: skip
                self._ready[shape] = None
        return self._ready[shape]

    def _bytes(self, shape: Shape) -> int:
        """About what a recording takes: one layer's keys and values, twice copied, and logits, also as float32."""
        rows, pages = shape
        return rows * (3 * (pages + 1) * self._store.layer_bytes + 8 * self._vocabulary)

    def _recorded(self, shape: Shape) -> tuple[Inputs, Work]:
        """Raises an exception of any kind where it can't be recorded, or gives other numbers when its inputs change."""
        needed, free = self._bytes(shape), self._free()
        if free is not None and free - needed < SPARED_BYTES:
            raise MemoryError(f"a recording needs about {needed >> 20} MiB, and {free >> 20} MiB are free")
        inputs = Inputs(shape, self._store.page_tokens, self._scratch, self._store.keys[0].device)

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
            raise ArithmeticError(f"replayed, its logits differ by {error:.1e} of their spread")
        return inputs, replay


def _difference(wanted: Tensor, found: Tensor) -> float:
    """The largest, relative to the spread of what is wanted."""
    return float((found - wanted).abs().max() / wanted.std())
