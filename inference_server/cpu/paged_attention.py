"""Paged attention with numba kernels."""

import numpy as np
import torch
from torch import Tensor

from inference_server.attention.batch import ABREAST, Batch
from inference_server.cpu.kernels import team
from inference_server.cpu.kernels.objects import Kernel
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.tables import ATTENTION, BLOCK, scratch_of
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
        self._body = team.body(Kernel.ATTENTION)
        self._scratch = torch.empty(0)  # begins with a cache line, unlike numpy's

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
            self._scratch = torch.empty(2 * step * threads)
        scale = np.array([scaling], dtype=np.float32)
        table = np.zeros((), dtype=ATTENTION)
        table["rows"], table["heads"], table["key_width"] = queries.shape
        table["groups"], table["value_width"] = values.shape[1:]
        table["queries"], table["keys"], table["values"] = queries.data_ptr(), keys.data_ptr(), values.data_ptr()
        table["key_store"] = self._store.keys[layer].data_ptr()
        table["value_store"] = self._store.values[layer].data_ptr()
        table["row_table"], table["block_list"] = row_table.ctypes.data, blocks.ctypes.data
        table["tiles"], table["tile_table"] = len(tiles), tiles.ctypes.data
        table["scaling"], table["window"] = scale.ctypes.data, window or UNBOUNDED
        table["scratch"], table["scratch_step"] = self._scratch.data_ptr(), step * 4
        table["output"], table["block_step"] = output.data_ptr(), self._store.block_step
        self._body.run(table, threads)
        return output
