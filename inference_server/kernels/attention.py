"""One new token of a prompt against the prompt's stored keys and values and its own."""

from typing import Any

import numpy as np
from numba import njit

from inference_server.kernels.vectors import PAGE, exponential, floats, page_mix, page_scores

ROW = 3  # numbers that describe a new token: where its pages are listed, how many tokens come before it, its slot


@njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _soften(scores: Any, first: int, last: int, scaling: float) -> None:
    """Scores to weights that sum to 1, over first…last."""
    top = np.float32(-np.inf)
    for j in range(first, last):
        top = max(top, scores[j])
    total = np.float32(0)
    for j in range(first, last):
        weight = exponential((scores[j] - top) * scaling)
        scores[j] = weight
        total += weight
    inverse = np.float32(1) / total
    for j in range(first, last):
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
    page_step: tuple[int, int],
    pages: Any,
    prefix: int,
    slot: int,
    window: int,
    scaling: float,
    scratch: int,
    output: int,
) -> None:
    """`share` queries that use one key head. `keys` and `values`: that head's part of page 0; `page_step`: bytes to
    the same part of the next page. `pages` hold the `prefix` tokens before; own key and value go to `slot`, if any.
    Only the last `window` tokens count, itself included. `scratch` has share · (prefix + 2 · PAGE) numbers.
    """
    stride = (prefix + PAGE) // PAGE * PAGE + PAGE
    first = max(0, prefix + 1 - window)
    for index in range(first // PAGE, (prefix + PAGE - 1) // PAGE):
        page = keys + pages[index] * page_step[0]
        for h in range(share):
            page_scores(query + h * key_width * 4, page, key_width, scratch + (h * stride + index * PAGE) * 4)
    own_key, own_value = floats(key, key_width), floats(value, value_width)
    mixed = floats(output, share * value_width)
    for h in range(share):
        row, scores = floats(query + h * key_width * 4, key_width), floats(scratch + h * stride * 4, stride)
        total = np.float32(0)
        for d in range(key_width):
            total += row[d] * own_key[d]
        scores[prefix] = total
        _soften(scores, first, prefix + 1, scaling)
        for j in range(first // PAGE * PAGE, first):
            scores[j] = np.float32(0)
        for d in range(value_width):
            mixed[h * value_width + d] = scores[prefix] * own_value[d]
    for index in range(first // PAGE, (prefix + PAGE - 1) // PAGE):
        page, count = values + pages[index] * page_step[1], min(PAGE, prefix - index * PAGE)
        for h in range(share):
            at = scratch + (h * stride + index * PAGE) * 4
            page_mix(at, page, value_width, count, output + h * value_width * 4)
    if slot >= 0:
        stored = floats(keys + slot // PAGE * page_step[0], key_width * PAGE)
        for d in range(key_width):
            stored[d * PAGE + slot % PAGE] = own_key[d]
        stored = floats(values + slot // PAGE * page_step[1] + slot % PAGE * value_width * 4, value_width)
        for d in range(value_width):
            stored[d] = own_value[d]
