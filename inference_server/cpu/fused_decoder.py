"""New tokens through a Llama-like model in one compiled call, over the very weights its layers hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference_server.attention.batch import ABREAST, Batch
from inference_server.cpu.kernels import decoder as d
from inference_server.cpu.kernels.attention import scratch_of
from inference_server.cpu.kernels.tiles import LANES
from inference_server.cpu.kernels.vectors import BLOCK
from inference_server.cpu.paged_attention import UNBOUNDED
from inference_server.cpu.weight_only_linear import KINDS, WeightOnlyLinear
from inference_server.kvcache.kv_blocks import KVBlocks

FAMILIES = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}


class UnfusableError(Exception):
    """The model isn't of the shape the fused step knows."""


class FusedDecoder:
    """Replaces the forward pass."""

    def __init__(self, model: Any, store: KVBlocks) -> None:
        """`model` holds its weights (`held.hold`) and its layers' storage is `store`. Raises UnfusableError."""
        self._model = model
        self._store = store
        self._kept: list[Any] = []  # what the tables point into
        config = model.config
        if type(model).__name__ not in FAMILIES or store.block_size != BLOCK:
            raise UnfusableError("another architecture")
        layers = list(model.model.layers)
        width = layers[0].self_attn.head_dim
        if width % LANES or type(layers[0].mlp.act_fn).__name__ not in ("SiLU", "SiLUActivation"):
            raise UnfusableError("another width of head or activation")
        kinds = {module.weight.dtype for module in model.modules() if isinstance(module, WeightOnlyLinear)}
        if len(kinds) != 1 or any(type(module) is nn.Linear for module in model.modules()):
            raise UnfusableError("weights of several kinds")
        self._body = d.decoder_body(KINDS[kinds.pop()])
        self._head = np.zeros(d.HEAD_SIZE, dtype=np.int64)
        head = self._head
        head[d.LAYERS], head[d.HIDDEN], head[d.WIDTH] = len(layers), config.hidden_size, width
        head[d.HEADS], head[d.GROUPS] = config.num_attention_heads, config.num_key_value_heads
        head[d.INNER], head[d.VOCABULARY] = config.intermediate_size, model.lm_head.out_features
        head[d.BLOCK_STEP] = store.block_step
        epsilon, scaling = config.rms_norm_eps, layers[0].self_attn.scaling
        head[d.FLOATS] = self._keep(np.array([epsilon, scaling], dtype=np.float32))
        head[d.FINAL_NORM] = self._address(model.model.norm.weight)
        head[d.OUTPUT_WEIGHT] = self._address(model.lm_head.weight)
        head[d.LAYER_TABLE] = self._keep(np.array([self._layer(i, layer) for i, layer in enumerate(layers)], np.int64))
        if model.lm_head.bias is not None:
            raise UnfusableError("a bias on the output")
        self._threads = torch.get_num_threads()
        self._most_rows = min(module.most_rows for module in model.modules() if isinstance(module, WeightOnlyLinear))
        self._buffers = dict[int, NDArray[np.float32]]()

    def fits(self, batch: Batch) -> bool:
        """Whether `run` can compute the batch."""
        return len(batch) <= self._most_rows

    @torch.inference_mode()
    def run(self, batch: Batch) -> Tensor:
        """Logits (the batch's logit rows, vocabulary) in float32."""
        rows, answers, head = len(batch), np.array(batch.logit_rows, dtype=np.int64), self._head
        states = self._model.model.embed_tokens(torch.tensor(batch.token_ids)).contiguous()
        cosines, sines = self._model.model.rotary_emb(states[None], torch.tensor([batch.positions]))
        cosines, sines = cosines[0].contiguous(), sines[0].contiguous()
        logits = torch.empty(len(answers), int(head[d.VOCABULARY]))
        (row_table, blocks), tiles = batch.rows, batch.tiles
        head[d.ROWS], head[d.TILES], head[d.ANSWERS] = rows, len(tiles), len(answers)
        head[d.ROW_TABLE], head[d.BLOCK_LIST] = row_table.ctypes.data, blocks.ctypes.data
        head[d.TILE_TABLE], head[d.ANSWER_LIST] = tiles.ctypes.data, answers.ctypes.data
        head[d.COSINES], head[d.SINES] = cosines.data_ptr(), sines.data_ptr()
        head[d.STATES], head[d.LOGITS] = states.data_ptr(), logits.data_ptr()
        self._make_room(rows, batch.longest)
        self._body.run(head, self._threads)
        return logits

    def _make_room(self, rows: int, longest: int) -> None:
        """Points the table to buffers for so many new tokens, the last at position `longest`."""
        head = self._head
        hidden, inner, queries = int(head[d.HIDDEN]), int(head[d.INNER]), int(head[d.HEADS] * head[d.WIDTH])
        keys = int(head[d.GROUPS] * head[d.WIDTH])
        step = scratch_of(int(head[d.HEADS]), int(head[d.HEADS] // head[d.GROUPS]), ABREAST, longest)
        head[d.NORMED_STEP], head[d.SCRATCH_STEP] = rows * hidden * 4, step * 4
        sizes = {
            d.QUERIES: rows * max(hidden, queries),
            d.KEYS: rows * keys,
            d.VALUES: rows * keys,
            d.MIXED: rows * queries,
            d.GATE: rows * inner,
            d.UP: rows * max(hidden, inner),
            d.NORMED: rows * hidden * self._threads,
            d.SCRATCH: step * self._threads,
        }
        for place, numbers in sizes.items():
            if place not in self._buffers or len(self._buffers[place]) < numbers:
                self._buffers[place] = np.empty(numbers * 5 // 4, dtype=np.float32)
            head[place] = self._buffers[place].ctypes.data

    def _layer(self, index: int, layer: Any) -> Sequence[int]:
        attention, mlp = layer.self_attn, layer.mlp
        row = [0] * d.LAYER_SIZE
        named = {
            d.L_QUERY: attention.q_proj,
            d.L_KEY: attention.k_proj,
            d.L_VALUE: attention.v_proj,
            d.L_OUTPUT: attention.o_proj,
        }
        for place, linear in named.items():
            row[place], row[place + 1] = self._address(linear.weight), self._address(linear.bias)
        for place, linear in {d.L_GATE: mlp.gate_proj, d.L_UP: mlp.up_proj, d.L_DOWN: mlp.down_proj}.items():
            row[place] = self._address(linear.weight)
            if linear.bias is not None:
                raise UnfusableError("biases in the feed-forward layers")
        row[d.L_NORM] = self._address(layer.input_layernorm.weight)
        row[d.L_SECOND_NORM] = self._address(layer.post_attention_layernorm.weight)
        row[d.L_QUERY_NORM] = self._address(getattr(getattr(attention, "q_norm", None), "weight", None))
        row[d.L_KEY_NORM] = self._address(getattr(getattr(attention, "k_norm", None), "weight", None))
        row[d.L_KEY_STORE], row[d.L_VALUE_STORE] = (
            self._store.keys[index].data_ptr(),
            self._store.values[index].data_ptr(),
        )
        row[d.L_WINDOW] = self._store.windows[index] or UNBOUNDED
        return row

    def _address(self, tensor: Tensor | None) -> int:
        if tensor is None:
            return 0
        if not tensor.is_contiguous() or (tensor.ndim == 1 and tensor.dtype != torch.float32):
            raise UnfusableError("weights that don't lie in one piece")
        self._kept.append(tensor)
        return tensor.data_ptr()

    def _keep(self, array: NDArray[Any]) -> int:
        self._kept.append(array)
        return array.ctypes.data
