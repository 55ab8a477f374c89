"""What numba knows of threads, addresses and memory, beside what it knows by itself.

Every thread runs the same compiled body on one table. In a body, `here` is the thread's number, `size` the number of
threads, `meet` a barrier.
"""

from functools import partial
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

jit: Any = partial(numba.njit, error_model="numpy", _nrt=False)
"""numba.njit for the parts of kernels: what they call is in the object code, or in C's library."""
here: Any = types.ExternalFunction("next_token_thread", types.int32())
size: Any = types.ExternalFunction("next_token_threads", types.int32())
meet: Any = types.ExternalFunction("next_token_meet", types.void())
allocate: Any = types.ExternalFunction("malloc", types.int64(types.int64))
release: Any = types.ExternalFunction("free", types.void(types.int64))


@intrinsic
def _invoke(typing: Any, address: Any, n0: Any, n1: Any, n2: Any, n3: Any, n4: Any, n5: Any, n6: Any, n7: Any) -> Any:
    """Calls the function at an address with eight numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at, *numbers = arguments
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * len(numbers))
        builder.call(builder.inttoptr(at, kind.as_pointer()), numbers)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9), generate


def array_of(dtype: Any) -> Any:
    """A function (address, count) for kernels: the array of so many numbers or records at an address."""
    item = from_dtype(np.dtype(dtype))
    kind = types.Array(item, 1, "C")

    @intrinsic
    def array_at(typing: Any, address: Any, count: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = make_array(kind)(context, builder)
            size = context.get_abi_sizeof(context.get_data_type(item))
            data = builder.inttoptr(arguments[0], context.get_data_type(item).as_pointer())
            populate_array(array, data, [arguments[1]], [context.get_constant(types.intp, size)], size, meminfo=None)
            return array._getvalue()

        return kind(types.intp, types.intp), generate

    return array_at


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    """Reinterprets int32 as float32, int64 as float64."""
    kind: Any = {types.int32: types.float32, types.int64: types.float64}[bits]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(kind))

    return kind(bits), generate


invoke: Any = _invoke
floats, doubles, integers = (array_of(dtype) for dtype in (np.float32, np.float64, np.int64))
as_float: Any = _as_float
