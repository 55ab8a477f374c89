"""Attention of a prompt's new tokens over its cached keys and values."""

from typing import Any

import numpy as np

from inference_server.cpu.kernels.intrinsics import floats, here, jit, size
from inference_server.cpu.kernels.tables import BLOCK, stride_of
from inference_server.cpu.kernels.vectors import block_mix, block_scores, exponential, highest

ROW = 5  # numbers that describe a new token: where its blocks are listed, its position, its slot or -1, what is hidden
HIDDEN = 3  # where among them the range is that is hidden from it: its first token, and the one after its last
UNSEEN = -1e30  # a score below all others
TILE = 3  # numbers that describe a tile: its first new token, how many, and whether they are alternatives


@jit
def tasks(count: int) -> tuple[int, int]:
    """This thread's contiguous share of `count` tasks, so that rows of one prompt find its keys in cache."""
    return count * here() // size(), count * (here() + 1) // size()


@jit
def turn(task: int, last: int, rows: int, tiles: int, groups: int) -> tuple[int, int, int]:
    """What begins with a task of tiles · groups: a tile, its first key head, and how many heads, up to task `last`.

    Where each tile is one token of a prompt of its own, its heads follow one another: in a block they lie side by side.
    Tiles of one prompt take them one by one, and find the blocks of each still near.
    """
    if tiles == rows:
        g = task % groups
        return task // groups, g, min(groups - g, last - task)
    return task % tiles, task // tiles, 1


_stride = jit(stride_of)
_scores_of_1, _scores_of_2, _scores_of_3, _scores_of_4 = (block_scores(queries) for queries in range(1, 5))
_mix_of_1, _mix_of_2, _mix_of_3, _mix_of_4 = (block_mix(queries) for queries in range(1, 5))


@jit
def _scores(query: int, block: int, queries: int, width: int, scores: int, stride: int, following: int) -> None:
    """Scores of any number of queries, up to four at a time."""
    q = 0
    while q < queries:
        left, at, to = queries - q, query + q * width * 4, scores + q * stride * 4
        if left == 3:
            _scores_of_3(at, block, width, to, stride, following)
        elif left == 2:
            _scores_of_2(at, block, width, to, stride, following)
        elif left == 1:
            _scores_of_1(at, block, width, to, stride, following)
        else:
            _scores_of_4(at, block, width, to, stride, following)
        q += 4


@jit
def _mix(
    weights: int, stride: int, block: int, queries: int, width: int, count: int, mixed: int, following: int
) -> None:
    q = 0
    while q < queries:
        left, at, to = queries - q, weights + q * stride * 4, mixed + q * width * 4
        if left == 3:
            _mix_of_3(at, stride, block, width, count, to, following)
        elif left == 2:
            _mix_of_2(at, stride, block, width, count, to, following)
        elif left == 1:
            _mix_of_1(at, stride, block, width, count, to, following)
        else:
            _mix_of_4(at, stride, block, width, count, to, following)
        q += 4


@jit(fastmath={"reassoc", "contract", "nsz", "nnan"})
def _soften(address: int, count: int, scaling: Any) -> None:
    """Softmax of scores * scaling, in place."""
    top, scores = highest(address, count), floats(address, count)
    total = np.float32(0)
    for j in range(count):
        weight = exponential((scores[j] - top) * scaling)
        scores[j] = weight
        total += weight
    inverse = np.float32(1) / total
    for j in range(count):
        scores[j] *= inverse


@jit
def store(
    key: int, value: int, key_width: int, value_width: int, keys: int, values: int, block_step: int, slot: int
) -> None:
    """Copies one new token's key and value into its slot. `keys`, `values` and `block_step` as in attend."""
    own, stored = floats(key, key_width), floats(keys + slot // BLOCK * block_step, key_width * BLOCK)
    for d in range(key_width):
        stored[d * BLOCK + slot % BLOCK] = own[d]
    own = floats(value, value_width)
    stored = floats(values + slot // BLOCK * block_step + slot % BLOCK * value_width * 4, value_width)
    for d in range(value_width):
        stored[d] = own[d]


@jit
def attend(
    query: int,
    key: int,
    value: int,
    output: int,
    count: int,
    share: int,
    heads: int,
    groups: int,
    many: int,
    key_width: int,
    value_width: int,
    keys: int,
    values: int,
    block_step: int,
    blocks: Any,
    position: int,
    apart: int,
    window: int,
    scaling: float,
    scratch: int,
    row_table: Any,
    row: int,
) -> None:
    """A tile of `count` new tokens of a prompt, for `many` key heads, each used by `share` queries of a token.

    query, key, value and output: those of the first token and first head; the next token's are `heads` or `groups`
    heads further. `keys` and `values`: that key head's part of block 0, followed by the next head's; `block_step`:
    bytes to the same part of block 1, and so on. `blocks` hold the prompt. `position` is the first token's; each other
    token follows the one before, with its key and value cached, or with `apart` is an alternative to it, whose own are
    not in the blocks. Only the last `window` tokens count, itself included. `scratch` has as many numbers as stride_of
    says for each of count · many · share queries. `row` is the first token's in `row_table`, which has what is hidden.
    """
    last = position if apart else position + count - 1
    stride, queries = _stride(last), many * share
    key_bytes, value_bytes = key_width * BLOCK * 4, value_width * BLOCK * 4
    first_block = max(0, position + 1 - window) // BLOCK
    last_block = (last + BLOCK - 1) // BLOCK if apart else last // BLOCK + 1
    for index in range(first_block, last_block):
        next_block = keys + blocks[min(index + 1, last_block - 1)] * block_step
        if index + 1 == last_block:
            next_block = values + blocks[first_block] * block_step
        for g in range(many):
            block = keys + blocks[index] * block_step + g * key_bytes
            following = block + key_bytes if g + 1 < many else next_block
            for i in range(count):
                at = position if apart else position + i
                if (index + 1) * BLOCK > at + 1 - window and index * BLOCK <= at:
                    own, scores = query + (i * heads + g * share) * key_width * 4, i * queries + g * share
                    to = scratch + (scores * stride + index * BLOCK) * 4
                    _scores(own, block, share, key_width, to, stride, following)
                    following = block
    for i in range(count):
        at = position if apart else position + i
        first = max(0, at + 1 - window)
        hidden, seen_again = row_table[(row + i) * ROW + HIDDEN], row_table[(row + i) * ROW + HIDDEN + 1]
        for h in range(queries):
            scores = floats(scratch + (i * queries + h) * stride * 4, stride)
            mixed = floats(output + (i * heads + h) * value_width * 4, value_width)
            own = i * groups + h // share
            if apart:
                own_query = floats(query + (i * heads + h) * key_width * 4, key_width)
                own_key = floats(key + own * key_width * 4, key_width)
                total = np.float32(0)
                for d in range(key_width):
                    total += own_query[d] * own_key[d]
                scores[at] = total
            for j in range(hidden, seen_again):
                scores[j] = np.float32(UNSEEN)
            _soften(scratch + ((i * queries + h) * stride + first) * 4, at + 1 - first, scaling)
            for j in range(hidden, seen_again):
                scores[j] = np.float32(0)
            for j in range(first // BLOCK * BLOCK, first):
                scores[j] = np.float32(0)
            own_value = floats(value + own * value_width * 4, value_width)
            weight = scores[at] if apart else np.float32(0)
            for d in range(value_width):
                mixed[d] = weight * own_value[d]
    for index in range(first_block, last_block):
        next_block = values + blocks[min(index + 1, last_block - 1)] * block_step
        for g in range(many):
            block = values + blocks[index] * block_step + g * value_bytes
            following = block + value_bytes if g + 1 < many else next_block
            for i in range(count):
                at = position if apart else position + i
                seen = min(BLOCK, at + 1 - apart - index * BLOCK)
                if (index + 1) * BLOCK > at + 1 - window and seen > 0:
                    weights = scratch + ((i * queries + g * share) * stride + index * BLOCK) * 4
                    mixed_rows = output + (i * heads + g * share) * value_width * 4
                    _mix(weights, stride, block, share, value_width, seen, mixed_rows, following)
                    following = block
