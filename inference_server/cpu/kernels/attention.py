"""Attention of a prompt's new tokens over its cached keys and values."""

from typing import Any

import numpy as np
from numba import njit

from inference_server.cpu.kernels.team import here, size
from inference_server.cpu.kernels.vectors import PAGE, exponential, floats, highest, page_mix, page_scores

ROW = 3  # per new token: index into the page list, position, slot or -1
BLOCK = 3  # per block: first new token, number of tokens, whether they are alternatives


@njit(nogil=True)
def tasks(count: int) -> tuple[int, int]:
    """This thread's contiguous share of `count` tasks, so that rows of one prompt find its keys in cache."""
    return count * here() // size(), count * (here() + 1) // size()


@njit(nogil=True)
def turn(task: int, last: int, rows: int, blocks: int, groups: int) -> tuple[int, int, int]:
    """The block, first key head and number of heads to process from a task on, up to task `last`.

    If each block is one token of a separate prompt, it takes its heads together, since they are adjacent in a page.
    Blocks of the same prompt take one head at a time and find its pages in cache.
    """
    if blocks == rows:
        g = task % groups
        return task // groups, g, min(groups - g, last - task)
    return task % blocks, task // blocks, 1


_scores_of_1, _scores_of_2, _scores_of_3, _scores_of_4 = (page_scores(queries) for queries in range(1, 5))
_mix_of_1, _mix_of_2, _mix_of_3, _mix_of_4 = (page_mix(queries) for queries in range(1, 5))


@njit(nogil=True)
def _scores(query: int, page: int, queries: int, width: int, scores: int, stride: int, following: int) -> None:
    """Scores of any number of queries, four at a time."""
    q = 0
    while q < queries:
        left, at, to = queries - q, query + q * width * 4, scores + q * stride * 4
        if left == 3:
            _scores_of_3(at, page, width, to, stride, following)
        elif left == 2:
            _scores_of_2(at, page, width, to, stride, following)
        elif left == 1:
            _scores_of_1(at, page, width, to, stride, following)
        else:
            _scores_of_4(at, page, width, to, stride, following)
        q += 4


@njit(nogil=True)
def _mix(
    weights: int, stride: int, page: int, queries: int, width: int, count: int, mixed: int, following: int
) -> None:
    q = 0
    while q < queries:
        left, at, to = queries - q, weights + q * stride * 4, mixed + q * width * 4
        if left == 3:
            _mix_of_3(at, stride, page, width, count, to, following)
        elif left == 2:
            _mix_of_2(at, stride, page, width, count, to, following)
        elif left == 1:
            _mix_of_1(at, stride, page, width, count, to, following)
        else:
            _mix_of_4(at, stride, page, width, count, to, following)
        q += 4


@njit(nogil=True, fastmath={"reassoc", "contract", "nsz", "nnan"})
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


@njit(nogil=True)
def store(
    key: int, value: int, key_width: int, value_width: int, keys: int, values: int, page_step: int, slot: int
) -> None:
    """Writes a new token's key and value to its slot. `keys`, `values` and `page_step` as in attend."""
    own, stored = floats(key, key_width), floats(keys + slot // PAGE * page_step, key_width * PAGE)
    for d in range(key_width):
        stored[d * PAGE + slot % PAGE] = own[d]
    own = floats(value, value_width)
    stored = floats(values + slot // PAGE * page_step + slot % PAGE * value_width * 4, value_width)
    for d in range(value_width):
        stored[d] = own[d]


def stride_of(position: int) -> int:
    """Scratch floats per query of a block whose last token is at `position`."""
    return (position // PAGE + 2) * PAGE


def scratch_of(heads: int, share: int, abreast: int, longest: int) -> int:
    """Scratch floats for any result of `turn`, with blocks of at most `abreast` tokens up to a position."""
    return max(heads, abreast * share) * stride_of(longest)


_stride = njit(nogil=True)(stride_of)


@njit(nogil=True)
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
    page_step: int,
    pages: Any,
    position: int,
    apart: int,
    window: int,
    scaling: float,
    scratch: int,
) -> None:
    """Attention of a block of `count` new tokens for `many` key heads, each shared by `share` query heads.

    query, key, value, output: addresses for the first token and head; the next token is `heads` or `groups` heads
    further. keys, values: this key head's part of page 0, followed by the next head's; `page_step` is the distance to
    the next page. pages: the prompt's. position: the first token's. The other tokens follow it, with their keys and
    values stored, or with `apart` are alternatives at the same position, whose keys and values are not in the pages.
    window: sliding window in tokens, the token itself included. scratch: stride_of floats for each of count · many ·
    share queries.
    """
    last = position if apart else position + count - 1
    stride, queries = _stride(last), many * share
    key_bytes, value_bytes = key_width * PAGE * 4, value_width * PAGE * 4
    first_page = max(0, position + 1 - window) // PAGE
    last_page = (last + PAGE - 1) // PAGE if apart else last // PAGE + 1
    for index in range(first_page, last_page):
        next_page = keys + pages[min(index + 1, last_page - 1)] * page_step
        if index + 1 == last_page:
            next_page = values + pages[first_page] * page_step
        for g in range(many):
            page = keys + pages[index] * page_step + g * key_bytes
            following = page + key_bytes if g + 1 < many else next_page
            for i in range(count):
                at = position if apart else position + i
                if (index + 1) * PAGE > at + 1 - window and index * PAGE <= at:
                    own, scores = query + (i * heads + g * share) * key_width * 4, i * queries + g * share
                    to = scratch + (scores * stride + index * PAGE) * 4
                    _scores(own, page, share, key_width, to, stride, following)
                    following = page
    for i in range(count):
        at = position if apart else position + i
        first = max(0, at + 1 - window)
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
            _soften(scratch + ((i * queries + h) * stride + first) * 4, at + 1 - first, scaling)
            for j in range(first // PAGE * PAGE, first):
                scores[j] = np.float32(0)
            own_value = floats(value + own * value_width * 4, value_width)
            weight = scores[at] if apart else np.float32(0)
            for d in range(value_width):
                mixed[d] = weight * own_value[d]
    for index in range(first_page, last_page):
        next_page = values + pages[min(index + 1, last_page - 1)] * page_step
        for g in range(many):
            page = values + pages[index] * page_step + g * value_bytes
            following = page + value_bytes if g + 1 < many else next_page
            for i in range(count):
                at = position if apart else position + i
                seen = min(PAGE, at + 1 - apart - index * PAGE)
                if (index + 1) * PAGE > at + 1 - window and seen > 0:
                    weights = scratch + ((i * queries + g * share) * stride + index * PAGE) * 4
                    mixed_rows = output + (i * heads + g * share) * value_width * 4
                    _mix(weights, stride, page, share, value_width, seen, mixed_rows, following)
                    following = page
