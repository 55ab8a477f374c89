"""Paged attention of new tokens of many prompts."""

from functools import cache
from typing import Any

from numba import carray, njit

from inference_server.cpu.kernels.attention import ROW, TILE, attend, store, tasks, turn
from inference_server.cpu.kernels.team import SOURCES, Body, here, meet
from inference_server.cpu.kernels.vectors import BLOCK, floats, integers

(
    ROWS, HEADS, GROUPS, KEY_WIDTH, VALUE_WIDTH, QUERIES, KEYS, VALUES, KEY_STORE, VALUE_STORE, ROW_TABLE, BLOCK_LIST,
    SCALING, WINDOW, SCRATCH, SCRATCH_STEP, OUTPUT, BLOCK_STEP, TILES, TILE_TABLE, SIZE,
) = range(21)  # fmt: skip


@njit(nogil=True)
def _attend(pointer: Any) -> None:
    table = carray(pointer, SIZE)
    groups, key_width, value_width = table[GROUPS], table[KEY_WIDTH], table[VALUE_WIDTH]
    share = table[HEADS] // groups
    row_table, scaling = integers(table[ROW_TABLE], table[ROWS] * ROW), floats(table[SCALING], 1)[0]
    key_bytes, value_bytes = key_width * BLOCK * 4, value_width * BLOCK * 4
    tile_table = integers(table[TILE_TABLE], table[TILES] * TILE)
    scratch = table[SCRATCH] + here() * table[SCRATCH_STEP]
    first_task, last_task = tasks(table[ROWS] * groups)
    for task in range(first_task, last_task):
        m, g = task % table[ROWS], task // table[ROWS]
        slot, row = row_table[m * ROW + 2], m * groups + g
        if slot >= 0:
            store(
                table[KEYS] + row * key_width * 4, table[VALUES] + row * value_width * 4, key_width, value_width,
                table[KEY_STORE] + g * key_bytes, table[VALUE_STORE] + g * value_bytes, table[BLOCK_STEP], slot,
            )  # fmt: skip
    meet()
    task, last_task = tasks(table[TILES] * groups)
    while task < last_task:
        index, g, many = turn(task, last_task, table[ROWS], table[TILES], groups)
        task += many
        tile = index * TILE
        m, count, apart = tile_table[tile], tile_table[tile + 1], tile_table[tile + 2]
        first, position = row_table[m * ROW], row_table[m * ROW + 1]
        blocks = integers(table[BLOCK_LIST] + first * 8, (position + count) // BLOCK + 1)
        row, head = m * groups + g, m * table[HEADS] + g * share
        attend(
            table[QUERIES] + head * key_width * 4, table[KEYS] + row * key_width * 4,
            table[VALUES] + row * value_width * 4, table[OUTPUT] + head * value_width * 4, count, share, table[HEADS],
            groups, many, key_width, value_width, table[KEY_STORE] + g * key_bytes,
            table[VALUE_STORE] + g * value_bytes, table[BLOCK_STEP], blocks, position, apart, table[WINDOW], scaling,
            scratch, row_table, m,
        )  # fmt: skip


@cache
def rows_body() -> Body:
    """Attention for every row of the table; also stores new keys and values that have a slot."""
    sources = SOURCES

    def of_float32(pointer: Any) -> None:
        if sources:
            _attend(pointer)

    return Body(of_float32)
