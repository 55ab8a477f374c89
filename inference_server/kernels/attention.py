"""One new token of a prompt against the prompt's stored keys and values and its own."""

from typing import Any

import numpy as np
from numba import njit

from inference_server.kernels.team import here, size
from inference_server.kernels.vectors import PAGE, exponential, floats, highest, page_mix, page_scores

ROW = 3  # numbers that describe a new token: where its pages are listed, how many tokens come before it, its slot


@njit(nogil=True)
def tasks(count: int) -> tuple[int, int]:
    """This thread's share of `count` tasks, in one run: rows of one prompt find its keys still near."""
    return count * here() // size(), count * (here() + 1) // size()


_scores_of_1, _scores_of_2, _scores_of_3, _scores_of_4 = (page_scores(queries) for queries in range(1, 5))
_mix_of_1, _mix_of_2, _mix_of_3, _mix_of_4 = (page_mix(queries) for queries in range(1, 5))


@njit(nogil=True)
def _scores(query: int, page: int, queries: int, width: int, scores: int, stride: int, following: int) -> None:
    """Scores of any number of queries, up to four at a time."""
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
    """Scores to weights that sum to 1; a float32 scaling."""
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
def attend(
    query: int,
    key: int,
    value: int,
    share: int,
    key_width: int,
    value_width: int,
    keys: int,
    values: int,
    page_bytes: int,
    pages: Any,
    prefix: int,
    slot: int,
    window: int,
    scaling: float,
    scratch: int,
    output: int,
) -> None:
    """`share` queries that use one key head. `keys` and `values`: that head's part of page 0; `page_bytes`: to the
    same part of the next page. `pages` hold the `prefix` tokens before; own key and value go to `slot`, if any.
    Only the last `window` tokens count, itself included. `scratch` has share · (prefix + 2 · PAGE) numbers.
    """
    stride = (prefix + PAGE) // PAGE * PAGE + PAGE
    first = max(0, prefix + 1 - window)
    first_page, last_page = first // PAGE, (prefix + PAGE - 1) // PAGE
    for index in range(first_page, last_page):
        page = keys + pages[index] * page_bytes
        following = keys + pages[min(index + 1, last_page - 1)] * page_bytes
        if index + 1 == last_page:
            following = values + pages[first_page] * page_bytes
        _scores(query, page, share, key_width, scratch + index * PAGE * 4, stride, following)
    own_key, own_value = floats(key, key_width), floats(value, value_width)
    mixed = floats(output, share * value_width)
    for h in range(share):
        row, scores = floats(query + h * key_width * 4, key_width), floats(scratch + h * stride * 4, stride)
        total = np.float32(0)
        for d in range(key_width):
            total += row[d] * own_key[d]
        scores[prefix] = total
        _soften(scratch + (h * stride + first) * 4, prefix + 1 - first, scaling)
        for j in range(first // PAGE * PAGE, first):
            scores[j] = np.float32(0)
        for d in range(value_width):
            mixed[h * value_width + d] = scores[prefix] * own_value[d]
    for index in range(first_page, last_page):
        page, count = values + pages[index] * page_bytes, min(PAGE, prefix - index * PAGE)
        following = values + pages[min(index + 1, last_page - 1)] * page_bytes
        _mix(scratch + index * PAGE * 4, stride, page, share, value_width, count, output, following)
    if slot >= 0:
        stored = floats(keys + slot // PAGE * page_bytes, key_width * PAGE)
        for d in range(key_width):
            stored[d * PAGE + slot % PAGE] = own_key[d]
        stored = floats(values + slot // PAGE * page_bytes + slot % PAGE * value_width * 4, value_width)
        for d in range(value_width):
            stored[d] = own_value[d]
