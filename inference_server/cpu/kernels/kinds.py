"""Matrix product tiles for each kind of weights that kernels read."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from inference_server.cpu.kernels import limb_tiles, packed
from inference_server.cpu.kernels.layouts import BYTES, KINDS, LAYOUTS, SHARES
from inference_server.cpu.kernels.limbs import half_of
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.tiles import _number, plain_tile

KIND_TAGS = {kind: (np.int8(0),) * (kind + 1) for kind in KINDS}
"""Values whose types select the kind in kernels: tuples, by their length."""


def _code(tag: Any) -> int:
    return int(tag.count) - 1


def _outputs(code: int) -> int:
    """Outputs whose sums fit in registers with those of four rows; taking blocks apart needs some too."""
    return 4 if LANES == 16 else 2 if code in LAYOUTS else 3


@cache
def block(rows: int, depth: int = 1, outputs: int = 0) -> Callable[..., None]:
    """A numba-callable (tag, x, w, width, y, y_stride, sums, following, pace): y[m, r] = x[m] · w[r], rows × outputs.

    Without `outputs`, there are as many as layout_of says; packed weights take one for a single row. x, w, y, sums and
    following are addresses; y_stride is in floats, pace in bytes. `sums` is read for a single row of a kind whose
    layout has a share: the sums of so many neighbouring numbers of x, or what limbs.take_apart makes of them.
    """

    @intrinsic
    def outputs_of_rows(
        typing: Any, tag: Any, x: Any, w: Any, width: Any, y: Any, y_stride: Any, sums: Any, following: Any, pace: Any
    ) -> Any:
        code = _code(tag)
        count = 1 if rows == 1 and code in LAYOUTS else outputs or _outputs(code)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, x, w, width, y, y_stride, sums, following, pace = arguments
            if rows == 1 and half_of(code):
                limb_tiles.tile(builder, w, width, y, sums, following, code)
            elif code in LAYOUTS:
                packed.packed_tile(builder, x, w, width, y, y_stride, sums, following, pace, rows, count, code)
            else:
                plain_tile(builder, x, w, width, y, y_stride, following, pace, rows, count, code, depth)
            return context.get_dummy_value()

        return types.void(tag, *[types.intp] * 8), generate

    return outputs_of_rows


@intrinsic
def _layout_of(typing: Any, tag: Any) -> Any:
    """(weights, bytes) of a block, its share, the outputs of a tile, and what limbs.half_of says.

    Plain weights are blocks of one.
    """
    code = _code(tag)
    layout = (*LAYOUTS.get(code, (1, BYTES.get(code, 0))), SHARES.get(code, 0), _outputs(code), half_of(code))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, signature.return_type, [_number(each) for each in layout])

    return types.UniTuple(types.intp, 5)(tag), generate


@intrinsic
def _widen(typing: Any, tag: Any, w: Any, width: Any, y: Any) -> Any:
    """y = a row of packed weights in float32, of others nothing; w and y are addresses."""
    code = _code(tag)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if code in LAYOUTS:
            packed.widen_row(builder, code, *arguments[1:])
        return context.get_dummy_value()

    return types.void(tag, *[types.intp] * 3), generate


layout_of: Any = _layout_of
widen: Any = _widen
