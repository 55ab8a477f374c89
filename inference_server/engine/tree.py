"""A tree of continuations, and how the probability of all continuations is divided among those in it and the rest."""

import math
from dataclasses import dataclass

from inference_server.grow_messages import GrownMass
from inference_server.sequence import Ids


@dataclass(frozen=True, slots=True)
class Children:
    """The likeliest next tokens after a path, in order of rank."""

    token_ids: list[int]
    logits: list[float]
    logprobs: list[float]


@dataclass(eq=False, slots=True)
class Branch:
    """A path from the prompt, in the tree or not yet."""

    path: Ids = ()
    parent: "Branch | None" = None
    rank: int = 0
    logit: float = 0.0
    logprob: float = 0.0
    path_logprob: float = 0.0
    ends: bool = False
    """Whether its last token ends the text."""
    complete: bool = False
    """Whether it ends, or has the full depth."""
    id: int | None = None
    """Its number in the tree, in order of joining; the root's is 0. None: not in it."""
    children: Children | None = None
    """What may follow, while computed and not used yet."""
    bare: bool = True
    """Whether no child of it is in the tree."""

    @property
    def probability(self) -> float:
        """Of the whole path."""
        return math.exp(self.path_logprob)

    @property
    def parent_id(self) -> int:
        """That of the root is 0 too."""
        return 0 if self.parent is None or self.parent.id is None else self.parent.id

    @property
    def order(self) -> tuple[float, int, int]:
        """Falling probability; equal ones by when their parents joined, then by rank."""
        return -self.path_logprob, self.parent_id, self.rank


class Tree:
    """Numbers branches as they join, and keeps count of the probability of all continuations.

    `covered` lies on complete branches, `open` on incomplete ones without children in the tree, `pruned` on what
    continues the others and is not in the tree.
    """

    def __init__(self, depth: int, end_ids: frozenset[int]) -> None:
        self.root = Branch(id=0)
        self.end_ids = end_ids
        self.count = 0  # without the root
        self.covered = 0.0
        self._open = 1.0
        self._pruned = 0.0
        self._depth = depth

    @property
    def mass(self) -> GrownMass:
        """Sums to 1."""
        return GrownMass(min(1.0, self.covered), max(0.0, self._open), max(0.0, self._pruned))

    def following(self, parent: Branch, most: int, least: float) -> list[Branch]:
        """At most that many of a computed branch's children, the likeliest first, of at least that path_logprob."""
        assert parent.children is not None  # noqa: S101 - computed
        depth = len(parent.path) + 1
        found = []
        children = zip(parent.children.token_ids, parent.children.logits, parent.children.logprobs, strict=True)
        for rank, (token_id, logit, logprob) in enumerate(children, 1):
            path_logprob = parent.path_logprob + logprob
            if rank > most or path_logprob < least:
                break
            ends = token_id in self.end_ids
            path = (*parent.path, token_id)
            found.append(Branch(path, parent, rank, logit, logprob, path_logprob, ends, ends or depth == self._depth))
        return found

    def join(self, branch: Branch) -> None:
        """Adds a branch whose parent is in the tree."""
        parent, probability = branch.parent, branch.probability
        assert parent is not None  # noqa: S101 - the root is there from the start
        if parent.bare:
            parent.bare = False
            self._open -= parent.probability
            self._pruned += parent.probability
        self._pruned -= probability
        if branch.complete:
            self.covered += probability
        else:
            self._open += probability
        self.count += 1
        branch.id = self.count
