"""A tree's probability: covered, open and pruned are what its branches say, and sum to 1."""

import math

import pytest

from inference_server.engine.tree import Branch, Children, Tree

HALVES = Children([5, 6, 7], [2.0, 1.0, 0.0], [math.log(0.5), math.log(0.25), math.log(0.125)])


def grown(tree: Tree, parent: Branch) -> list[Branch]:
    parent.children = HALVES
    return tree.following(parent, 3, -math.inf)


def test_children_are_cut_by_number_and_by_probability() -> None:
    tree = Tree(2, frozenset({6}))
    tree.root.children = HALVES
    first, second = tree.following(tree.root, 2, -math.inf)
    assert [(each.path, each.rank, each.logit) for each in (first, second)] == [((5,), 1, 2.0), ((6,), 2, 1.0)]
    assert [(each.ends, each.complete) for each in (first, second)] == [(False, False), (True, True)]
    assert len(tree.following(tree.root, 3, math.log(0.25))) == 2
    deeper = grown(tree, first)
    assert [each.path_logprob for each in deeper] == pytest.approx([math.log(p / 2) for p in (0.5, 0.25, 0.125)])
    assert [(each.ends, each.complete) for each in deeper] == [(False, True), (True, True), (False, True)]


def test_the_mass_is_told_as_the_tree_stands() -> None:
    tree = Tree(2, frozenset({6}))
    assert (tree.mass.covered, tree.mass.open, tree.mass.pruned) == (0, 1, 0)
    first, second, _ = grown(tree, tree.root)
    tree.join(first)
    assert (tree.mass.covered, tree.mass.open, tree.mass.pruned) == pytest.approx((0, 0.5, 0.5))
    tree.join(second)
    assert (tree.mass.covered, tree.mass.open, tree.mass.pruned) == pytest.approx((0.25, 0.5, 0.25))
    tree.join(grown(tree, first)[2])
    assert (tree.mass.covered, tree.mass.open, tree.mass.pruned) == pytest.approx((0.3125, 0, 0.6875))
    assert [first.id, second.id, tree.count] == [1, 2, 3]


def test_branches_are_ordered_by_probability_then_by_who_joined_first() -> None:
    tree = Tree(3, frozenset())
    first, second, third = grown(tree, tree.root)
    for branch in (first, second):
        tree.join(branch)
    below_first, below_second = grown(tree, first), grown(tree, second)
    order = sorted((third, *below_second, *below_first), key=lambda branch: branch.order)
    assert [branch.path for branch in order] == [(5, 5), (7,), (5, 6), (6, 5), (5, 7), (6, 6), (6, 7)]
