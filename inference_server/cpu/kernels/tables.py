"""What kernels are told: records of int64 addresses, counts and steps. A step is in bytes."""

from typing import Any

import numpy as np

BLOCK = 16  # tokens in a block of keys and values
MOST = 4  # rows that pass over a product's weights together


def _fields(names: str) -> np.dtype[Any]:
    """A record of int64 numbers."""
    return np.dtype([(name, np.int64) for name in names.split()])


PASS = _fields("""
    rows tiles answers layers hidden heads groups width inner block_step row_table tile_table answer_list
    block_list cosines sines states queries keys values mixed gate up normed normed_step scratch scratch_step logits
    floats final_norm output layer_table interruption trail
""")
"""One pass of a decoder. `output` is a MATRIX; `floats` are epsilon and scaling.

`interruption` is that of the class of this name, or 0. `trail`, or 0, gets of the last row, layer by layer, what its
attention adds and the state after it.
"""

LAYER = _fields("""
    norm query key value output query_norm key_norm second_norm gate up down key_store value_store window
""")
"""Addresses of one layer, of a MATRIX where it has one; 0: it has none."""

MATRIX = np.dtype([*_fields("weight product bias inputs outputs rank a b").descr, ("scaling", np.float64)])
"""A matrix of a model; `product` is the address of the product of its kind, and a bias of 0: it has none.

With a rank above 0, A (rank, inputs) and B's transpose (rank, outputs) are in float32.
"""

ATTENTION = _fields("""
    rows heads groups key_width value_width queries keys values key_store value_store row_table block_list scaling
    window scratch scratch_step output block_step tiles tile_table
""")
"""Attention of one layer."""


def stride_of(position: int) -> int:
    """How many numbers attention needs for each query of a tile whose last token is at a position."""
    return (position // BLOCK + 2) * BLOCK


def scratch_of(heads: int, share: int, abreast: int, longest: int) -> int:
    """How many numbers a thread's attention needs, for tiles of at most `abreast` tokens up to a position."""
    return max(heads, abreast * share) * stride_of(longest)
