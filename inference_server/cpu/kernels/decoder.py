"""A forward pass of a Llama-like decoder over new tokens, in one parallel region.

Threads divide the outputs of each matrix product and the heads of each attention, with barriers between them.
"""

from typing import Any

import numpy as np

from inference_server.cpu.kernels.attention import ROW, TILE, attend, store, tasks, turn
from inference_server.cpu.kernels.intrinsics import array_of, floats, here, integers, jit, meet
from inference_server.cpu.kernels.matrix import multiply
from inference_server.cpu.kernels.tables import BLOCK, LAYER, PASS
from inference_server.cpu.kernels.vectors import exponential

_passes, _layers = array_of(PASS), array_of(LAYER)


@jit(fastmath={"reassoc", "contract"})
def _norm(source: int, weight: int, count: int, epsilon: float, target: int) -> None:
    """RMS norm of one row."""
    x, w, y = floats(source, count), floats(weight, count), floats(target, count)
    total = np.float32(0)
    for i in range(count):
        total += x[i] * x[i]
    scale = np.float32(1) / np.sqrt(total / np.float32(count) + epsilon)
    for i in range(count):
        y[i] = x[i] * scale * w[i]


@jit
def _norm_rows(source: int, weight: int, rows: int, count: int, epsilon: float, target: int) -> None:
    for m in range(rows):
        _norm(source + m * count * 4, weight, count, epsilon, target + m * count * 4)


@jit
def _add(source: int, rows: int, count: int, first: int, last: int, target: int) -> None:
    """target += source, in columns first…last of (rows, count)."""
    for m in range(rows):
        x, y = floats(source + m * count * 4, count), floats(target + m * count * 4, count)
        for i in range(first, last):
            y[i] += x[i]


@jit
def _leave(table: Any, source: int, at: int, first: int, last: int) -> None:
    """Copies columns first…last of the last row of (rows, hidden) to the trail's row `at`."""
    if table.trail:
        hidden = table.hidden
        x = floats(source + (table.rows - 1) * hidden * 4, hidden)
        y = floats(table.trail + at * hidden * 4, hidden)
        for i in range(first, last):
            y[i] = x[i]


@jit
def _rotate(row: int, cosines: int, sines: int, width: int) -> None:
    """Rotary embedding of one head, in half-split layout."""
    x, c, s = floats(row, width), floats(cosines, width), floats(sines, width)
    half = width // 2
    for i in range(half):
        low, high = x[i], x[i + half]
        x[i] = low * c[i] - high * s[i]
        x[i + half] = high * c[i + half] + low * s[i + half]


@jit(fastmath={"reassoc", "contract"})
def _gate(gate: int, up: int, rows: int, count: int, first: int, last: int) -> None:
    """gate = silu(gate) · up, in columns first…last."""
    for m in range(rows):
        start, length = (m * count + first) * 4, last - first
        g, u = floats(gate + start, length), floats(up + start, length)
        for i in range(length):
            g[i] = g[i] / (np.float32(1) + exponential(-g[i])) * u[i]


@jit
def _rotate_and_store(table: Any, layer: Any, row_table: Any) -> None:
    """Applies rotary embeddings to new queries and keys, and stores new keys and values."""
    rows, heads, groups, width = table.rows, table.heads, table.groups, table.width
    share, inside = heads // groups, width * BLOCK * 4
    epsilon = floats(table.floats, 2)[0]
    first_task, last_task = tasks(rows * groups)
    for task in range(first_task, last_task):
        m, g = task % rows, task // rows
        query = table.queries + (m * heads + g * share) * width * 4
        key, value = (table.keys + (m * groups + g) * width * 4, table.values + (m * groups + g) * width * 4)
        cosines, sines = table.cosines + m * width * 4, table.sines + m * width * 4
        for h in range(share):
            if layer.query_norm:
                _norm(query + h * width * 4, layer.query_norm, width, epsilon, query + h * width * 4)
            _rotate(query + h * width * 4, cosines, sines, width)
        if layer.key_norm:
            _norm(key, layer.key_norm, width, epsilon, key)
        _rotate(key, cosines, sines, width)
        slot = row_table[m * ROW + 2]
        if slot >= 0:
            keys, values = layer.key_store + g * inside, layer.value_store + g * inside
            store(key, value, width, width, keys, values, table.block_step, slot)


@jit
def _attention(table: Any, layer: Any, row_table: Any) -> None:
    tiles, heads, groups, width = table.tiles, table.heads, table.groups, table.width
    share, inside = heads // groups, width * BLOCK * 4
    tile_table, scaling = integers(table.tile_table, tiles * TILE), floats(table.floats, 2)[1]
    scratch = table.scratch + here() * table.scratch_step
    task, last_task = tasks(tiles * groups)
    while task < last_task:
        index, g, many = turn(task, last_task, table.rows, tiles, groups)
        task += many
        tile = index * TILE
        m, count, apart = tile_table[tile], tile_table[tile + 1], tile_table[tile + 2]
        first, position = row_table[m * ROW], row_table[m * ROW + 1]
        blocks = integers(table.block_list + first * 8, (position + count) // BLOCK + 1)
        head, row = (m * heads + g * share) * width * 4, (m * groups + g) * width * 4
        attend(
            table.queries + head, table.keys + row, table.values + row, table.mixed + head, count, share, heads,
            groups, many, width, width, layer.key_store + g * inside, layer.value_store + g * inside,
            table.block_step, blocks, position, apart, layer.window, scaling, scratch,
            row_table, m,
        )  # fmt: skip


@jit
def _ends_early(table: Any) -> Any:
    """Waits for all threads; whether the pass is to end here, to all of them the same."""
    if not table.interruption:
        meet()
        return False
    flags = integers(table.interruption, 2)
    if here() == 0:
        flags[1] = flags[0]
    meet()
    return flags[1] != 0


def decoder(address: int) -> None:
    """One PASS."""
    table = _passes(address, 1)[0]
    layers = _layers(table.layer_table, table.layers)
    rows, hidden, inner = table.rows, table.hidden, table.inner
    epsilon = floats(table.floats, 2)[0]
    states, queries, keys, values, mixed, gate, up = (
        table.states, table.queries, table.keys, table.values, table.mixed, table.gate, table.up,
    )  # fmt: skip
    normed = table.normed + here() * table.normed_step
    row_table = integers(table.row_table, rows * ROW)
    for index in range(table.layers):
        layer = layers[index]
        _norm_rows(states, layer.norm, rows, hidden, epsilon, normed)
        multiply(layer.query, normed, rows, queries)
        multiply(layer.key, normed, rows, keys)
        multiply(layer.value, normed, rows, values)
        meet()
        _rotate_and_store(table, layer, row_table)
        meet()
        _attention(table, layer, row_table)
        meet()
        first, last = multiply(layer.output, mixed, rows, up)
        _add(up, rows, hidden, first, last, states)
        _leave(table, up, 2 * index, first, last)
        meet()
        _norm_rows(states, layer.second_norm, rows, hidden, epsilon, normed)
        first, last = multiply(layer.gate, normed, rows, gate)
        multiply(layer.up, normed, rows, up)
        _gate(gate, up, rows, inner, first, last)
        meet()
        first, last = multiply(layer.down, gate, rows, queries)
        _add(queries, rows, hidden, first, last, states)
        _leave(table, states, 2 * index + 1, first, last)
        if _ends_early(table):
            return
    answers = integers(table.answer_list, table.answers)
    for index in range(len(answers)):
        at = states + answers[index] * hidden * 4
        _norm(at, table.final_norm, hidden, epsilon, normed + index * hidden * 4)
    multiply(table.output, normed, len(answers), table.logits)
