"""The tables of a pass: places, positions and rows of prompts that differ in length, and who sees whom."""

import pytest
import torch

from inference_server.attention.batch import ABREAST, Batch, Segment, Span, additive
from inference_server.kvcache.radix_cache import BlockTable

PAGE = 4
PROMPT = BlockTable(tokens=[9, 8, 7, 6, 5], blocks=[3, 1], alternatives=[40, 41], alternative_blocks=[6])
NEW = BlockTable(blocks=[2])


def batch(*segments: Segment) -> Batch:
    return Batch(segments, PAGE)


def test_following_tokens_go_on_where_their_prompt_ends() -> None:
    both = batch(Segment(PROMPT, [11, 12]), Segment(NEW, [13, 14, 15], every_row=True))
    assert both.token_ids == [11, 12, 13, 14, 15]
    assert both.positions == [5, 6, 0, 1, 2]
    assert both.logit_rows == [1, 2, 3, 4]  # after the last of the first prompt, after each of the second
    assert both.write_rows is None
    assert both.write_blocks.tolist() == [1, 1, 2, 2, 2]
    assert both.write_slots.tolist() == [1, 2, 0, 1, 2]
    assert [(span.start, span.count, span.prefix) for span in both.spans] == [(0, 2, 5), (2, 3, 0)]
    assert [span.blocks.tolist() for span in both.spans] == [[3, 1], [2]]
    assert both.longest == 6


@pytest.mark.parametrize("keep", [False, True])
def test_alternatives_stand_side_by_side(keep: bool) -> None:
    both = batch(Segment(PROMPT, [40, 41], alternatives=True, keep=keep), Segment(NEW, [13]))
    assert both.positions == [5, 5, 0]
    assert both.logit_rows == [0, 1, 2]
    assert both.write_blocks.tolist() == ([6, 6, 2] if keep else [2])  # beside the prompt's own pages, or nowhere
    assert both.write_rows is None if keep else both.write_rows.tolist() == [2]  # type: ignore[union-attr]
    assert both.single


def test_rows_name_pages_positions_and_places() -> None:
    table, pages = batch(Segment(PROMPT, [11]), Segment(PROMPT, [40], alternatives=True)).rows
    assert pages.tolist() == [3, 1, 3, 1]
    assert table.tolist() == [[0, 5, 1 * PAGE + 1, 0, 0], [2, 5, -1, 0, 0]]


def test_parts_of_the_prompt_are_hidden_from_alternatives() -> None:
    hiding = batch(Segment(PROMPT, [40, 40, 40], alternatives=True, hidden=[(0, 2), (4, 5), (3, 3)]))
    assert hiding.hides
    assert not batch(Segment(PROMPT, [40], alternatives=True)).hides
    assert hiding.rows[0][:, 3:].tolist() == [[0, 2], [4, 5], [3, 3]]
    (span,) = hiding.spans
    for window, rows in ((None, ["00111100", "11110010", "11111001"]), (3, ["00011100", "00010010", "00011001"])):
        seen = span.seen(window)
        assert seen is not None
        assert ["".join(str(int(each)) for each in row) for row in seen] == rows


def test_new_tokens_walk_pages_a_few_at_a_time() -> None:
    tiles = batch(
        Segment(BlockTable(blocks=[2, 4]), range(ABREAST + 1)), Segment(PROMPT, [40], alternatives=True)
    ).tiles
    assert tiles.tolist() == [[0, ABREAST, 0], [ABREAST, 1, 0], [ABREAST + 1, 1, 1]]


@pytest.mark.parametrize(
    ("alternatives", "window", "seen"),
    [
        (False, None, ["1110", "1111"]),
        (False, 2, ["0110", "0011"]),
        (True, None, ["1110", "1101"]),
        (True, 2, ["0110", "0101"]),  # both stand behind the prefix
    ],
)
def test_who_sees_whom(alternatives: bool, window: int | None, seen: list[str]) -> None:
    span = Span(0, 2, 2, torch.tensor([0]), alternatives)
    found = span.seen(window)
    assert found is not None
    assert ["".join("01"[int(one)] for one in row) for row in found] == seen
    assert not span.causal(window)


def test_a_lone_token_sees_everything() -> None:
    assert Span(0, 1, 3, torch.tensor([0]), alternatives=False).seen(None) is None
    assert Span(0, 1, 3, torch.tensor([0]), alternatives=False).seen(4) is None
    assert Span(0, 3, 0, torch.tensor([0]), alternatives=False).causal(None)
    assert not Span(0, 3, 0, torch.tensor([0]), alternatives=False).causal(2)


def test_what_is_not_seen_is_minus_infinity() -> None:
    added = additive(torch.tensor([[True, False]]), torch.float32)
    assert added.tolist() == [[0.0, -torch.inf]]
