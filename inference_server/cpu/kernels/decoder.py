"""A forward pass of a Llama-like decoder over new tokens, in one parallel region.

Threads divide the outputs of each matrix product and the heads of each attention, with barriers between them.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import carray, njit

from inference_server.cpu.kernels.attention import ROW, TILE, attend, store, tasks, turn
from inference_server.cpu.kernels.product import bounds, product
from inference_server.cpu.kernels.team import SOURCES, Body, here, meet
from inference_server.cpu.kernels.tiles import KIND_TAGS
from inference_server.cpu.kernels.vectors import BLOCK, exponential, floats, integers

# table header: counts and addresses of one pass
(
    ROWS, TILES, ANSWERS, LAYERS, HIDDEN, HEADS, GROUPS, WIDTH, INNER, VOCABULARY, BLOCK_STEP, ROW_TABLE, TILE_TABLE,
    ANSWER_LIST, BLOCK_LIST, COSINES, SINES, STATES, QUERIES, KEYS, VALUES, MIXED, GATE, UP, NORMED, NORMED_STEP,
    SCRATCH, SCRATCH_STEP, LOGITS, FLOATS, FINAL_NORM, OUTPUT_WEIGHT, LAYER_TABLE, HEAD_SIZE,
) = range(34)  # fmt: skip
# one layer's entries; address 0: absent
(
    L_NORM, L_QUERY, L_QUERY_BIAS, L_KEY, L_KEY_BIAS, L_VALUE, L_VALUE_BIAS, L_OUTPUT, L_OUTPUT_BIAS, L_QUERY_NORM,
    L_KEY_NORM, L_SECOND_NORM, L_GATE, L_UP, L_DOWN, L_KEY_STORE, L_VALUE_STORE, L_WINDOW, LAYER_SIZE,
) = range(19)  # fmt: skip


@njit(nogil=True, fastmath={"reassoc", "contract"})
def _norm(source: int, weight: int, count: int, epsilon: float, target: int) -> None:
    """RMS norm of one row."""
    x, w, y = floats(source, count), floats(weight, count), floats(target, count)
    total = np.float32(0)
    for i in range(count):
        total += x[i] * x[i]
    scale = np.float32(1) / np.sqrt(total / np.float32(count) + epsilon)
    for i in range(count):
        y[i] = x[i] * scale * w[i]


@njit(nogil=True)
def _norm_rows(source: int, weight: int, rows: int, count: int, epsilon: float, target: int) -> None:
    for m in range(rows):
        _norm(source + m * count * 4, weight, count, epsilon, target + m * count * 4)


@njit(nogil=True)
def _add(source: int, bias: int, rows: int, count: int, first: int, last: int, target: int) -> None:
    """target += source (+ bias), in columns first…last of (rows, count); target 0: in place."""
    for m in range(rows):
        if bias:
            x, b = floats(source + m * count * 4, count), floats(bias, count)
            for i in range(first, last):
                x[i] += b[i]
        if target:
            x, y = floats(source + m * count * 4, count), floats(target + m * count * 4, count)
            for i in range(first, last):
                y[i] += x[i]


@njit(nogil=True)
def _rotate(row: int, cosines: int, sines: int, width: int) -> None:
    """Rotary embedding of one head, in half-split layout."""
    x, c, s = floats(row, width), floats(cosines, width), floats(sines, width)
    half = width // 2
    for i in range(half):
        low, high = x[i], x[i + half]
        x[i] = low * c[i] - high * s[i]
        x[i + half] = high * c[i + half] + low * s[i + half]


@njit(nogil=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def _gate(gate: int, up: int, rows: int, count: int, first: int, last: int) -> None:
    """gate = silu(gate) · up, in columns first…last."""
    for m in range(rows):
        start, length = (m * count + first) * 4, last - first
        g, u = floats(gate + start, length), floats(up + start, length)
        for i in range(length):
            g[i] = g[i] / (np.float32(1) + exponential(-g[i])) * u[i]


@njit(nogil=True)
def _rotate_and_store(table: Any, layer: Any, row_table: Any) -> None:
    """Applies rotary embeddings to new queries and keys, and stores new keys and values."""
    rows, heads, groups, width = table[ROWS], table[HEADS], table[GROUPS], table[WIDTH]
    share, inside = heads // groups, width * BLOCK * 4
    epsilon = floats(table[FLOATS], 2)[0]
    first_task, last_task = tasks(rows * groups)
    for task in range(first_task, last_task):
        m, g = task % rows, task // rows
        query = table[QUERIES] + (m * heads + g * share) * width * 4
        key, value = (table[KEYS] + (m * groups + g) * width * 4, table[VALUES] + (m * groups + g) * width * 4)
        cosines, sines = table[COSINES] + m * width * 4, table[SINES] + m * width * 4
        for h in range(share):
            if layer[L_QUERY_NORM]:
                _norm(query + h * width * 4, layer[L_QUERY_NORM], width, epsilon, query + h * width * 4)
            _rotate(query + h * width * 4, cosines, sines, width)
        if layer[L_KEY_NORM]:
            _norm(key, layer[L_KEY_NORM], width, epsilon, key)
        _rotate(key, cosines, sines, width)
        slot = row_table[m * ROW + 2]
        if slot >= 0:
            keys, values = layer[L_KEY_STORE] + g * inside, layer[L_VALUE_STORE] + g * inside
            store(key, value, width, width, keys, values, table[BLOCK_STEP], slot)


@njit(nogil=True)
def _attention(table: Any, layer: Any, row_table: Any) -> None:
    tiles, heads, groups, width = table[TILES], table[HEADS], table[GROUPS], table[WIDTH]
    share, inside = heads // groups, width * BLOCK * 4
    tile_table, scaling = integers(table[TILE_TABLE], tiles * TILE), floats(table[FLOATS], 2)[1]
    scratch = table[SCRATCH] + here() * table[SCRATCH_STEP]
    task, last_task = tasks(tiles * groups)
    while task < last_task:
        index, g, many = turn(task, last_task, table[ROWS], tiles, groups)
        task += many
        tile = index * TILE
        m, count, apart = tile_table[tile], tile_table[tile + 1], tile_table[tile + 2]
        first, position = row_table[m * ROW], row_table[m * ROW + 1]
        blocks = integers(table[BLOCK_LIST] + first * 8, (position + count) // BLOCK + 1)
        head, row = (m * heads + g * share) * width * 4, (m * groups + g) * width * 4
        attend(
            table[QUERIES] + head, table[KEYS] + row, table[VALUES] + row, table[MIXED] + head, count, share, heads,
            groups, many, width, width, layer[L_KEY_STORE] + g * inside, layer[L_VALUE_STORE] + g * inside,
            table[BLOCK_STEP], blocks, position, apart, layer[L_WINDOW], scaling, scratch,
        )  # fmt: skip


@njit(nogil=True)
def _pass(kind: Any, pointer: Any) -> None:
    table = carray(pointer, HEAD_SIZE)
    rows, hidden, heads, groups, width, inner = (
        table[ROWS],
        table[HIDDEN],
        table[HEADS],
        table[GROUPS],
        table[WIDTH],
        table[INNER],
    )
    epsilon = floats(table[FLOATS], 2)[0]
    states, queries, keys, values, mixed, gate, up = (
        table[STATES], table[QUERIES], table[KEYS], table[VALUES], table[MIXED], table[GATE], table[UP],
    )  # fmt: skip
    normed = table[NORMED] + here() * table[NORMED_STEP]
    row_table = integers(table[ROW_TABLE], rows * ROW)
    own = bounds(hidden)
    for index in range(table[LAYERS]):
        layer = integers(table[LAYER_TABLE] + index * LAYER_SIZE * 8, LAYER_SIZE)
        _norm_rows(states, layer[L_NORM], rows, hidden, epsilon, normed)
        first, last = bounds(heads * width)
        product(kind, normed, rows, layer[L_QUERY], hidden, first, last, queries, heads * width)
        _add(queries, layer[L_QUERY_BIAS], rows, heads * width, first, last, 0)
        first, last = bounds(groups * width)
        product(kind, normed, rows, layer[L_KEY], hidden, first, last, keys, groups * width)
        _add(keys, layer[L_KEY_BIAS], rows, groups * width, first, last, 0)
        product(kind, normed, rows, layer[L_VALUE], hidden, first, last, values, groups * width)
        _add(values, layer[L_VALUE_BIAS], rows, groups * width, first, last, 0)
        meet()
        _rotate_and_store(table, layer, row_table)
        meet()
        _attention(table, layer, row_table)
        meet()
        product(kind, mixed, rows, layer[L_OUTPUT], heads * width, own[0], own[1], up, hidden)
        _add(up, layer[L_OUTPUT_BIAS], rows, hidden, own[0], own[1], states)
        meet()
        _norm_rows(states, layer[L_SECOND_NORM], rows, hidden, epsilon, normed)
        first, last = bounds(inner)
        product(kind, normed, rows, layer[L_GATE], hidden, first, last, gate, inner)
        product(kind, normed, rows, layer[L_UP], hidden, first, last, up, inner)
        _gate(gate, up, rows, inner, first, last)
        meet()
        product(kind, gate, rows, layer[L_DOWN], inner, own[0], own[1], queries, hidden)
        _add(queries, 0, rows, hidden, own[0], own[1], states)
        meet()
    answers = integers(table[ANSWER_LIST], table[ANSWERS])
    for index in range(len(answers)):
        at = states + answers[index] * hidden * 4
        _norm(at, table[FINAL_NORM], hidden, epsilon, normed + index * hidden * 4)
    first, last = bounds(table[VOCABULARY])
    product(kind, normed, len(answers), table[OUTPUT_WEIGHT], hidden, first, last, table[LOGITS], table[VOCABULARY])


@cache
def decoder_body(kind: int) -> Body:
    """The pass for one weight dtype; the table's FLOATS are epsilon and scaling."""
    sources, tag = SOURCES, KIND_TAGS[kind]

    def body(pointer: Any) -> None:
        if sources:
            _pass(tag, pointer)

    return Body(body)
