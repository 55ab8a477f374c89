"""Paged attention of new tokens of many prompts."""

from inference_server.cpu.kernels.attention import ROW, TILE, attend, store, tasks, turn
from inference_server.cpu.kernels.intrinsics import array_of, floats, here, integers, meet
from inference_server.cpu.kernels.tables import ATTENTION, BLOCK

_tables = array_of(ATTENTION)


def rows(address: int) -> None:
    """Attention for every row of an ATTENTION; also stores new keys and values that have a slot."""
    table = _tables(address, 1)[0]
    groups, key_width, value_width = table.groups, table.key_width, table.value_width
    share = table.heads // groups
    row_table, scaling = integers(table.row_table, table.rows * ROW), floats(table.scaling, 1)[0]
    key_bytes, value_bytes = key_width * BLOCK * 4, value_width * BLOCK * 4
    tile_table = integers(table.tile_table, table.tiles * TILE)
    scratch = table.scratch + here() * table.scratch_step
    first_task, last_task = tasks(table.rows * groups)
    for task in range(first_task, last_task):
        m, g = task % table.rows, task // table.rows
        slot, row = row_table[m * ROW + 2], m * groups + g
        if slot >= 0:
            store(
                table.keys + row * key_width * 4, table.values + row * value_width * 4, key_width, value_width,
                table.key_store + g * key_bytes, table.value_store + g * value_bytes, table.block_step, slot,
            )  # fmt: skip
    meet()
    task, last_task = tasks(table.tiles * groups)
    while task < last_task:
        index, g, many = turn(task, last_task, table.rows, table.tiles, groups)
        task += many
        tile = index * TILE
        m, count, apart = tile_table[tile], tile_table[tile + 1], tile_table[tile + 2]
        first, position = row_table[m * ROW], row_table[m * ROW + 1]
        blocks = integers(table.block_list + first * 8, (position + count) // BLOCK + 1)
        row, head = m * groups + g, m * table.heads + g * share
        attend(
            table.queries + head * key_width * 4, table.keys + row * key_width * 4,
            table.values + row * value_width * 4, table.output + head * value_width * 4, count, share, table.heads,
            groups, many, key_width, value_width, table.key_store + g * key_bytes,
            table.value_store + g * value_bytes, table.block_step, blocks, position, apart, table.window, scaling,
            scratch, row_table, m,
        )  # fmt: skip
