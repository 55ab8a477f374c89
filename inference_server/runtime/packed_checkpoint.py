"""Checkpoints whose weights are packed as bitsandbytes, GPTQ or AWQ save them: each becomes plain when it is read.

transformers reads these with packages that want a GPU or a compiler. Here they are read as if the files had the numbers
that they stand for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor

from inference_server.errors import LoadFailed
from inference_server.models import checkpoint
from inference_server.models.checkpoint import Weights
from inference_server.models.safetensors_header import Tensor as Stored
from inference_server.models.safetensors_header import short
from inference_server.runtime import repacking, unpacking
from inference_server.runtime.repacking import Blocks
from inference_server.runtime.unpacking import BnbState

FORMATS = {"bitsandbytes": "bitsandbytes", "gptq": "GPTQ", "awq": "AWQ"}
"""By `quant_method`: what users call them."""
PLAIN = "choose the model's unquantised form, or a GGUF file of it"
GPTQ_BITS = (2, 4, 8)
STATE, MOST_STATE = ".quant_state.bitsandbytes__", 10_000  # bytes
STORAGE = ("U8", "F16", "BF16", "F32")  # in which bitsandbytes keeps its bytes
SCALES = ("F16", "BF16", "F32")


def method_of(described: Mapping[str, Any]) -> str:
    """The `quant_method`; bitsandbytes' older files state only the bits."""
    stated = described.get("quant_method")
    return "bitsandbytes" if described.get("load_in_4bit") or described.get("load_in_8bit") else str(stated)


def check(described: Mapping[str, Any]) -> None:
    """Raises LoadFailed for ways of packing that are not read."""
    method = method_of(described)
    if method == "gptq" and (layout := described.get("checkpoint_format") or "gptq") not in ("gptq", "gptq_v2"):
        raise _unread(method, f"checkpoint_format {short(repr(layout))}")
    if method == "awq":
        bits = described.get("bits", described.get("w_bit", 4))
        for name, value, wanted in (
            ("version", str(described.get("version") or "gemm").lower(), "gemm"),
            ("bits", bits, 4),
            ("zero_point", described.get("zero_point", True), True),
        ):
            if value != wanted:
                raise _unread(method, f"{name} {short(repr(value))}")


@dataclass(frozen=True, slots=True)
class Packed:
    """A weight that is unpacked each time it is read."""

    kind: str
    shape: tuple[int, ...]
    read: Callable[[], Tensor]
    blocks: str
    """The kind of blocks that hold the same numbers; empty: none does."""
    repack: Callable[[], Blocks]

    def __getitem__(self, index: Any) -> Tensor:
        """As of a slice of a safetensors file."""
        return self.read()[index]


class PackedCheckpoint:
    """A folder's weights by the network's names, as if they were plain."""

    def __init__(self, folder: Path, described: Mapping[str, Any], stored: Weights) -> None:
        """`described`: config.json's; `stored`: the files' tensors. Raises LoadFailed."""
        self._described = described
        self._stored = stored.tensors
        self._slices: dict[str, Any] = {}
        for path in checkpoint.files(folder):
            file: Any = safetensors.safe_open(path, "pt")
            self._slices |= {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        self._taken: set[str] = set()
        packed = dict(self._bitsandbytes() if method_of(described) == "bitsandbytes" else self._words())
        self.packed: dict[str, Packed] = packed
        plain = self._stored.keys() - self._taken
        self.tensors: dict[str, Any] = {**{name: self._slices[name] for name in plain}, **packed}
        """Each a tensor once it is indexed with an ellipsis."""
        self.weights = Weights(
            {
                **{name: self._stored[name] for name in plain},
                **{name: Stored(each.kind, each.shape, 0, 0) for name, each in packed.items()},
            }
        )
        """What they are; what is unpacked lies nowhere in the files."""

    def _need(self, name: str, kinds: tuple[str, ...], *wanted: int | None) -> tuple[int, ...]:
        """The shape of a tensor that belongs to a packed one; None: any size. Raises LoadFailed."""
        found = self._stored.get(name)
        if found is None:
            raise LoadFailed(f"its weights are quantised, and {short(name)} is missing; {PLAIN}")
        if (
            found.kind not in kinds
            or len(found.shape) != len(wanted)
            or any(size not in (None, axis) for axis, size in zip(found.shape, wanted, strict=True))
        ):
            raise _unfit(name)
        self._taken.add(name)
        return found.shape

    def _bitsandbytes(self) -> Iterator[tuple[str, Packed]]:
        for name in self._stored:
            weight, _, kind = name.partition(STATE)
            if kind:
                yield weight, self._bnb_4bit(weight, name)
            elif name.endswith(".SCB"):
                weight = f"{name.removesuffix('SCB')}weight"
                yield weight, self._bnb_8bit(weight, name)

    def _bnb_4bit(self, name: str, state_name: str) -> Packed:
        self._need(name, STORAGE, None, 1)
        self._need(f"{name}.quant_map", ("F32",), 16)
        state = self._bnb_state(state_name)
        count = -(-2 * self._stored[name].bytes // state.blocksize)
        parts = ["absmax", "quant_map"]
        if state.nested_blocksize is None:
            self._need(f"{name}.absmax", ("F32",), count)
        else:
            self._need(f"{name}.absmax", ("U8",), count)
            self._need(f"{name}.nested_quant_map", ("F32",), 256)
            self._need(f"{name}.nested_absmax", ("F32",), -(-count // state.nested_blocksize))
            parts += ["nested_quant_map", "nested_absmax"]
        if Stored("F32", state.shape, 0, 0).elements not in (2 * self._stored[name].bytes - odd for odd in (0, 1)):
            raise _unfit(name)

        def given() -> tuple[Tensor, dict[str, Tensor], BnbState]:
            return self._slices[name][...], {part: self._slices[f"{name}.{part}"][...] for part in parts}, state

        blocks = repacking.bnb_4bit_kind(self._slices[f"{name}.quant_map"][...], state)
        return Packed(
            state.kind,
            state.shape,
            lambda: unpacking.bnb_4bit(*given()),
            blocks,
            lambda: repacking.bnb_4bit(*given()),
        )

    def _bnb_state(self, name: str) -> BnbState:
        (length,) = self._need(name, ("U8",), None)
        try:
            return BnbState.read(bytes(self._slices[name][:MOST_STATE].tolist()) if length <= MOST_STATE else b"")
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as broken:
            raise _unfit(name) from broken

    def _bnb_8bit(self, name: str, scales: str) -> Packed:
        outputs, inputs = self._need(name, ("I8",), None, None)
        self._need(scales, ("F32",), outputs)
        if (layout := f"{name}_format") in self._stored:
            self._need(layout, ("U8",), *self._stored[layout].shape)
            if self._slices[layout][...].any():
                raise _unread("bitsandbytes", f"{short(name)} laid out for one kind of GPU")
        weight, largest = self._slices[name], self._slices[scales]
        return Packed(
            "F16",
            (outputs, inputs),
            lambda: unpacking.bnb_8bit(weight[...], largest[...]),
            repacking.bnb_8bit_kind(inputs),
            lambda: repacking.bnb_8bit(weight[...], largest[...]),
        )

    def _words(self) -> Iterator[tuple[str, Packed]]:
        unpack = self._gptq if method_of(self._described) == "gptq" else self._awq
        for name in self._stored:
            owner, _, last = name.rpartition(".")
            if last == "qweight":
                yield f"{owner}.weight", unpack(owner)

    def _gptq(self, owner: str) -> Packed:
        rows, outputs = self._need(f"{owner}.qweight", ("I32",), None, None)
        groups, _ = self._need(f"{owner}.scales", SCALES, None, outputs)
        order = self._order(owner, rows, groups)
        bits, rest = divmod(rows * unpacking.WORD, len(order))
        if rest or bits not in GPTQ_BITS:
            raise _unread("gptq", f"{bits} bits in {short(owner)}")
        columns, rest = divmod(outputs * bits, unpacking.WORD)
        if rest:
            raise _unfit(f"{owner}.qweight")
        self._need(f"{owner}.qzeros", ("I32",), groups, columns)
        above = 0 if self._described.get("checkpoint_format") == "gptq_v2" else 1

        further: dict[str, Any] = {"groups": order, "bits": bits, "above": above}
        ways = partial(unpacking.gptq, **further), partial(repacking.gptq, **further)
        return self._of_words(owner, (outputs, len(order)), order, bits, *ways)

    def _order(self, owner: str, rows: int, groups: int) -> Tensor:
        """The group of each of a GPTQ layer's inputs."""
        name, bits = f"{owner}.g_idx", self._described.get("bits")
        if name in self._stored:
            self._need(name, ("I32",), None)
            order: Tensor = self._slices[name][...]
            if not len(order) or int(order.min()) < 0 or int(order.max()) >= groups:
                raise _unfit(name)
            return order.long()
        if bits not in GPTQ_BITS:
            raise _unread("gptq", f"bits {short(repr(bits))}")
        inputs = rows * unpacking.WORD // bits
        if not inputs or not groups or inputs % groups:
            raise _unfit(f"{owner}.scales")
        return unpacking.in_order(inputs, groups)

    def _awq(self, owner: str) -> Packed:
        inputs, columns = self._need(f"{owner}.qweight", ("I32",), None, None)
        outputs = columns * unpacking.WORD // unpacking.AWQ_BITS
        groups, _ = self._need(f"{owner}.scales", SCALES, None, outputs)
        self._need(f"{owner}.qzeros", ("I32",), groups, columns)
        if not groups or inputs % groups:
            raise _unfit(f"{owner}.scales")
        order = unpacking.in_order(inputs, groups)
        return self._of_words(owner, (outputs, inputs), order, unpacking.AWQ_BITS, unpacking.awq, repacking.awq)

    def _of_words(
        self,
        owner: str,
        shape: tuple[int, int],
        order: Tensor,
        bits: int,
        unpack: Callable[..., Tensor],
        repack: Callable[..., Blocks],
    ) -> Packed:
        parts = [self._slices[f"{owner}.{part}"] for part in ("qweight", "qzeros", "scales")]
        return Packed(
            self._stored[f"{owner}.scales"].kind,
            shape,
            lambda: unpack(*(part[...] for part in parts)),
            repacking.words_kind(parts[-1][...], order, bits),
            lambda: repack(*(part[...] for part in parts)),
        )


def _unread(method: str, what: str) -> LoadFailed:
    return LoadFailed(f"its weights are quantised ({method}) with {what}, which can't be read here; {PLAIN}")


def _unfit(name: str) -> LoadFailed:
    return LoadFailed(f"its weights are quantised, and {short(name)} does not fit the others; download it again")
