"""New tokens through a Llama-like model in one compiled call, on the weights of its own layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference_server.attention.batch import ABREAST, Batch
from inference_server.cpu.kernels import team
from inference_server.cpu.kernels.objects import Kernel
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.tables import BLOCK, LAYER, MATRIX, PASS, scratch_of
from inference_server.cpu.packed_linear import ReorderedLinear
from inference_server.cpu.paged_attention import UNBOUNDED
from inference_server.cpu.weight_only_linear import WeightOnlyLinear
from inference_server.interruption import Interruption
from inference_server.kvcache.kv_blocks import KVBlocks

FAMILIES = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}


class UnfusableError(Exception):
    """The model isn't of a shape that the fused decoder supports."""


class FusedDecoder:
    """Computes batches of few tokens."""

    def __init__(self, model: Any, store: KVBlocks) -> None:
        """`model` has weight-only linear layers; `store` is its KV cache. Raises UnfusableError."""
        self._model = model
        self._store = store
        self._referenced: list[Any] = []  # what the tables point to
        config = model.config
        if type(model).__name__ not in FAMILIES or store.block_size != BLOCK:
            raise UnfusableError("another architecture")
        layers = list(model.model.layers)
        width = layers[0].self_attn.head_dim
        if width % LANES or type(layers[0].mlp.act_fn).__name__ not in ("SiLU", "SiLUActivation"):
            raise UnfusableError("another head width or activation")
        if any(type(module) is nn.Linear for module in model.modules()):
            raise UnfusableError("weights in layers that are not weight-only")
        if any(isinstance(module, ReorderedLinear) for module in model.modules()):
            raise UnfusableError("inputs in another order")
        self._body = team.body(Kernel.DECODER)
        self._table = table = np.zeros((), dtype=PASS)
        table["layers"], table["hidden"], table["width"] = len(layers), config.hidden_size, width
        table["heads"], table["groups"] = config.num_attention_heads, config.num_key_value_heads
        table["inner"] = config.intermediate_size
        table["block_step"] = store.block_step
        epsilon, scaling = config.rms_norm_eps, layers[0].self_attn.scaling
        table["floats"] = self._reference(np.array([epsilon, scaling], dtype=np.float32))
        table["final_norm"] = self._address(model.model.norm.weight)
        table["output"], self._outputs = self._matrix(model.lm_head), len(model.lm_head.weight)
        table["layer_table"] = self._reference(self._layers(layers))
        self._threads = torch.get_num_threads()
        self._most_rows = min(module.most_rows for module in model.modules() if isinstance(module, WeightOnlyLinear))
        self._buffers = dict[str, Tensor]()

    def fits(self, batch: Batch) -> bool:
        """Whether `run` can compute the batch."""
        return len(batch) <= self._most_rows

    def run(self, batch: Batch, interruption: Interruption | None = None) -> Tensor:
        """Logits (the batch's logit rows, vocabulary) in float32. Raises Interrupted."""
        return self._run(batch, interruption, None)

    def trace(self, batch: Batch, interruption: Interruption | None = None) -> tuple[Tensor, Tensor]:
        """As `run`, with (1 + 2 · layers, hidden) of the last row.

        The embedding, then of each layer what its attention adds, and the state after it.
        """
        trail = torch.empty(1 + 2 * int(self._table["layers"]), int(self._table["hidden"]))
        return self._run(batch, interruption, trail), trail

    @torch.inference_mode()
    def _run(self, batch: Batch, interruption: Interruption | None, trail: Tensor | None) -> Tensor:
        rows, answers, table = len(batch), np.array(batch.logit_rows, dtype=np.int64), self._table
        states = self._model.model.embed_tokens(torch.tensor(batch.token_ids)).contiguous()
        cosines, sines = self._model.model.rotary_emb(states[None], torch.tensor([batch.positions]))
        cosines, sines = cosines[0].contiguous(), sines[0].contiguous()
        logits = torch.empty(len(answers), self._outputs)
        (row_table, blocks), tiles = batch.rows, batch.tiles
        table["rows"], table["tiles"], table["answers"] = rows, len(tiles), len(answers)
        table["row_table"], table["block_list"] = row_table.ctypes.data, blocks.ctypes.data
        table["tile_table"], table["answer_list"] = tiles.ctypes.data, answers.ctypes.data
        table["cosines"], table["sines"] = cosines.data_ptr(), sines.data_ptr()
        table["states"], table["logits"] = states.data_ptr(), logits.data_ptr()
        self._make_room(rows, batch.longest)
        table["trail"] = 0
        if trail is not None:
            trail[0] = states[-1]
            table["trail"] = trail[1:].data_ptr()
        table["interruption"] = 0 if interruption is None else interruption.address
        self._body.run(table, self._threads)
        if interruption is not None:
            interruption.settle()
        return logits

    def _make_room(self, rows: int, longest: int) -> None:
        """Points the table to buffers for so many new tokens, the last at position `longest`."""
        table = self._table
        hidden, inner, heads, groups, width = (
            int(table[name]) for name in ("hidden", "inner", "heads", "groups", "width")
        )
        step = scratch_of(heads, heads // groups, ABREAST, longest)
        table["normed_step"], table["scratch_step"] = rows * hidden * 4, step * 4
        sizes = {
            "queries": rows * max(hidden, heads * width),
            "keys": rows * groups * width,
            "values": rows * groups * width,
            "mixed": rows * heads * width,
            "gate": rows * inner,
            "up": rows * max(hidden, inner),
            "normed": rows * hidden * self._threads,
            "scratch": step * self._threads,
        }
        for name, count in sizes.items():
            if name not in self._buffers or len(self._buffers[name]) < count:
                self._buffers[name] = torch.empty(count * 5 // 4)  # begins with a cache line, unlike numpy's
            table[name] = self._buffers[name].data_ptr()

    def _layers(self, layers: Sequence[Any]) -> NDArray[Any]:
        """What the kernel reads of each layer."""
        table = np.zeros(len(layers), dtype=LAYER)
        for index, layer in enumerate(layers):
            attention, mlp, row = layer.self_attn, layer.mlp, table[index]
            matrices = {
                "query": attention.q_proj,
                "key": attention.k_proj,
                "value": attention.v_proj,
                "output": attention.o_proj,
                "gate": mlp.gate_proj,
                "up": mlp.up_proj,
                "down": mlp.down_proj,
            }
            for name, linear in matrices.items():
                row[name] = self._matrix(linear)
            row["norm"] = self._address(layer.input_layernorm.weight)
            row["second_norm"] = self._address(layer.post_attention_layernorm.weight)
            row["query_norm"] = self._address(getattr(getattr(attention, "q_norm", None), "weight", None))
            row["key_norm"] = self._address(getattr(getattr(attention, "k_norm", None), "weight", None))
            row["key_store"] = self._store.keys[index].data_ptr()
            row["value_store"] = self._store.values[index].data_ptr()
            row["window"] = self._store.windows[index] or UNBOUNDED
        return table

    def _matrix(self, linear: Any) -> int:
        """The address of what the kernel reads of a layer, with an adapter beside it or not."""
        base = getattr(linear, "base_layer", linear)
        found = np.zeros((), dtype=MATRIX)
        found["weight"], found["bias"] = self._address(base.weight), self._address(base.bias)
        found["product"], found["inputs"], found["outputs"] = base.product, base.in_features, base.out_features
        if base is not linear:
            found["rank"], found["scaling"] = len(linear.lora_a), linear.scaling
            found["a"], found["b"] = self._address(linear.lora_a), self._address(linear.lora_b.T)
        return self._reference(found)

    def _address(self, tensor: Tensor | None) -> int:
        if tensor is None:
            return 0
        if not tensor.is_contiguous() or (tensor.ndim == 1 and tensor.dtype != torch.float32):
            raise UnfusableError("weights that are not contiguous")
        self._referenced.append(tensor)
        return tensor.data_ptr()

    def _reference(self, array: NDArray[Any]) -> int:
        self._referenced.append(array)
        return array.ctypes.data
