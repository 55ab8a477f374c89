"""Grow's request and events in the HTTP API; see messages.py."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.messages import Candidate, PromptRequest, Timings, TokenId


class GrowRequest(PromptRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt, as exactly one of text and token ids, and how far to grow its most likely continuations."""

    depth: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=100,
                description="The most tokens of a path, which also ends with an end-of-text token.",
                extra_json_schema={"default": 3},
            ),
        ]
        | UnsetType
    ) = UNSET
    coverage: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=1,
                description="Ends once complete paths have this probability together.",
                extra_json_schema={"default": 1},
            ),
        ]
        | UnsetType
    ) = UNSET
    max_nodes: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=2000,
                description="Ends once the tree has so many nodes.",
                extra_json_schema={"default": 100},
            ),
        ]
        | UnsetType
    ) = UNSET
    width: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=32,
                description="Beam search: keeps the `width` best paths of each depth. Default: best first.",
            ),
        ]
        | UnsetType
    ) = UNSET


class GrowStart(Struct, frozen=True, kw_only=True):
    """`event: start`, the first one. The prompt is the tree's root, with the id 0."""

    model: Annotated[str, Meta(description="The model that answers.")]
    token_ids: Annotated[list[TokenId], Meta(description="The prompt's ids, special tokens included.")]
    context_limit: Annotated[int, Meta(description="The model's context window in tokens.")]


class GrownNode(Struct, frozen=True, kw_only=True):
    """`event: node`, a token that continues its parent; nodes come after their parents."""

    id: Annotated[int, Meta(ge=1, description="1 for the first node, and one more for each.")]
    parent: Annotated[int, Meta(ge=0, description="The id of the node before it; 0: the prompt.")]
    token: Annotated[Candidate, Meta(description="With its rank and probability after its parent.")]
    path_logprob: Annotated[float, Meta(description="Sum of the logprobs of the tokens after the prompt.")]
    depth: Annotated[int, Meta(ge=1, description="How many tokens that are.")]
    is_end: Annotated[bool, Meta(description="An end-of-text token: nothing follows it.")]


class GrownMass(Struct, frozen=True, kw_only=True):
    """`event: mass`, after the nodes of each step: all probability, divided by the tree as it stands."""

    covered: Annotated[float, Meta(description="On complete paths: of the full depth, or at the end of the text.")]
    open: Annotated[float, Meta(description="On other nodes without children in the tree.")]
    pruned: Annotated[float, Meta(description="On continuations of nodes with children that are not in the tree.")]


class GrowFinish(Struct, frozen=True, kw_only=True):
    """`event: finish`, the last one."""

    finish_reason: Annotated[
        Literal["coverage", "max_nodes", "complete", "unknown"],
        Meta(description="`complete`: every path is, or no beam that goes on can become one of the best."),
    ]
    node_count: int
    mass: GrownMass
    timings_ms: Timings
