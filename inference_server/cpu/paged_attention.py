"""Paged attention with numba kernels."""

import numpy as np
import torch
from torch import Tensor

from inference_server.attention.batch import ABREAST, Batch
from inference_server.cpu.kernels import rows as r
from inference_server.cpu.kernels.attention import scratch_of
from inference_server.cpu.kernels.team import Body
from inference_server.cpu.kernels.tiles import LANES
from inference_server.cpu.kernels.vectors import BLOCK
from inference_server.kvcache.kv_blocks import KVBlocks

UNBOUNDED = 1 << 40  # no sliding window


class CompiledAttention:
    """Attention for whole batches over one store."""

    def __init__(self, store: KVBlocks) -> None:
        """Raises NoTeamError, or ValueError for a store that the kernel doesn't support."""
        keys, values = store.keys[0], store.values[0]
        shaped = all(key.shape[2] % 4 == 0 for key in store.keys) and all(v.shape[3] % LANES == 0 for v in store.values)
        if not shaped or store.block_size != BLOCK or keys.dtype != torch.float32 or values.device.type != "cpu":
            raise ValueError("unsupported block layout")
        self._store = store
        self._body: Body = r.rows_body()
        self._scratch = np.empty(0, dtype=np.float32)

    def attend(
        self, batch: Batch, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """query (heads, tokens, width), key and value (key heads, tokens, width) → (tokens, heads, width).

        Also stores new keys and values.
        """
        queries, keys, values = (each.transpose(0, 1).contiguous() for each in (query, key, value))
        output = queries.new_empty(*queries.shape[:2], values.shape[2])
        row_table, blocks = batch.rows
        threads = torch.get_num_threads()
        tiles = batch.tiles
        step = scratch_of(queries.shape[1], queries.shape[1] // keys.shape[1], ABREAST, batch.longest)
        if len(self._scratch) < step * threads:
            self._scratch = np.empty(2 * step * threads, dtype=np.float32)
        scale = np.array([scaling], dtype=np.float32)
        table = np.zeros(r.SIZE, dtype=np.int64)
        table[r.ROWS], table[r.HEADS], table[r.KEY_WIDTH] = queries.shape
        table[r.GROUPS], table[r.VALUE_WIDTH] = values.shape[1:]
        table[r.QUERIES], table[r.KEYS], table[r.VALUES] = queries.data_ptr(), keys.data_ptr(), values.data_ptr()
        table[r.KEY_STORE] = self._store.keys[layer].data_ptr()
        table[r.VALUE_STORE] = self._store.values[layer].data_ptr()
        table[r.ROW_TABLE], table[r.BLOCK_LIST] = row_table.ctypes.data, blocks.ctypes.data
        table[r.TILES], table[r.TILE_TABLE] = len(tiles), tiles.ctypes.data
        table[r.SCALING], table[r.WINDOW] = scale.ctypes.data, window or UNBOUNDED
        table[r.SCRATCH], table[r.SCRATCH_STEP] = self._scratch.ctypes.data, step * 4
        table[r.OUTPUT], table[r.BLOCK_STEP] = output.data_ptr(), self._store.block_step
        self._body.run(table, threads)
        return output
