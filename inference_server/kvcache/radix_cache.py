"""Which token prefixes have cached keys and values. Prompts that begin alike share them. Blocks are numbers here.

root ── [The cat sat on]  ── [the mat and slept]
     │                    └─ [the sofa]
     └─ [The dog]
A node is one block. A block that is not full has no children; prompts that diverge inside a block get a copy of the
shared part. Unused blocks are kept in order of release, each after its descendants: so the first of them is a leaf, and
the next to be evicted.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from inference_server.kvcache.block_pool import BlockPool, CacheFull
from inference_server.kvcache.siblings import Siblings


class Node:
    """One block of the tree, and its tokens; a prompt may use any prefix of them."""

    __slots__ = ("block", "children", "parent", "tokens")

    def __init__(self, parent: "Node | None", block: int, tokens: tuple[int, ...]) -> None:
        self.parent = parent
        self.block = block
        self.tokens = tokens
        self.children: Siblings[Node] = Siblings()

    def attach(self, child: "Node") -> None:
        self.children.add(child.tokens, child)

    def detach(self, child: "Node") -> None:
        self.children.remove(child.tokens)


@dataclass(slots=True, eq=False)
class BlockTable:
    """A prompt in use: its tokens with cached keys and values, and their blocks."""

    tokens: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    nodes: list[Node | None] = field(default_factory=list)
    alternatives: list[int] = field(default_factory=list)  # next tokens cached beside the prompt
    alternative_blocks: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)


class RadixCache:
    """The cached prefixes, bounded in blocks; unused ones are evicted, the least recently used first."""

    def __init__(self, pool: BlockPool, copy_block: Callable[[int, int], None]) -> None:
        """`copy_block(source, target)` copies a block's keys and values."""
        self._pool = pool
        self._copy_block = copy_block
        self._root = Node(None, -1, ())
        self._idle: OrderedDict[Node, None] = OrderedDict()  # used by no prompt, the least recently used first
        self._open: set[BlockTable] = set()
        self.blocks = 0  # in the tree, in use or not
        self.hit_tokens = 0
        self.evicted_blocks = 0

    @property
    def open_prompts(self) -> int:
        """Block tables that are not closed."""
        return len(self._open)

    @property
    def stray_holds(self) -> int:
        """References to blocks beyond those of the tree and of open tables: 0, or blocks leak."""
        opened = sum(len(table.blocks) + len(table.alternative_blocks) for table in tuple(self._open))
        return self._pool.total_references - self.blocks - opened

    def match_prefix(self, token_ids: Sequence[int]) -> BlockTable:
        """The longest cached prefix of `token_ids`, pinned until `close`."""
        size, node, table, at = self._pool.block_size, self._root, BlockTable(), 0
        while at < len(token_ids):
            chunk = tuple(token_ids[at : at + size])
            found, shared = node.children.closest(chunk)
            if found is None:
                break
            self._use(found)
            table.blocks.append(found.block)
            table.nodes.append(found)
            table.tokens.extend(chunk[:shared])
            if shared < size:
                break
            node, at = found, at + size
        self._open.add(table)
        self.hit_tokens += len(table)
        return table

    def close(self, table: BlockTable) -> None:
        """Unpins a prompt's blocks; those in the tree stay there until they are evicted."""
        for block, node in zip(reversed(table.blocks), reversed(table.nodes), strict=True):
            self._release(block, node)
        for block in table.alternative_blocks:
            self._pool.release(block)
        table.tokens, table.blocks, table.nodes = [], [], []
        table.alternatives, table.alternative_blocks = [], []
        self._open.discard(table)

    def fork(self, table: BlockTable) -> BlockTable:
        """A second table of the same prompt, without its alternatives; to be closed on its own."""
        for block in table.blocks:
            self._pool.retain(block)
        forked = BlockTable(list(table.tokens), list(table.blocks), list(table.nodes))
        self._open.add(forked)
        return forked

    def allocate(self, table: BlockTable, count: int) -> None:
        """Slots for `count` more tokens, evicting if needed. Raises CacheFull, leaving the prompt as it was."""
        size, pool = self._pool.block_size, self._pool
        self._open.add(table)
        while len(table.blocks) * size >= len(table) + size:  # allocated for a pass that failed
            pool.release(table.blocks.pop())
            table.nodes.pop()
        used = len(table) % size
        spare = len(table.blocks) * size - len(table)
        added: list[int] = []
        replaced = used != 0 and not pool.claim(table.blocks[-1], used, min(count, spare))
        try:
            added.extend(self._allocate() for _ in range(-(-(count - spare) // size) + replaced))
        except CacheFull:
            for block in added:
                pool.release(block)
            raise
        if replaced:
            self._copy_block(table.blocks[-1], added[0])
            pool.claim(added[0], 0, used + min(count, spare))
            self._release(table.blocks[-1], table.nodes[-1])
            table.blocks[-1], table.nodes[-1] = added.pop(0), None
        left = count - spare
        for block in added:
            pool.claim(block, 0, min(size, left))
            left -= size
        table.blocks.extend(added)
        table.nodes.extend([None] * len(added))

    def insert(self, table: BlockTable, token_ids: Iterable[int]) -> None:
        """The allocated slots now hold `token_ids`: others may find them."""
        size = self._pool.block_size
        first = len(table) // size
        table.tokens.extend(token_ids)
        parent = table.nodes[first - 1] if first else self._root
        for index in range(first, len(table.blocks)):
            if parent is None:
                raise RuntimeError("This is a bug: a block after one that is not in the tree.")
            chunk = tuple(table.tokens[index * size : (index + 1) * size])
            parent = table.nodes[index] = self._node_for(table, index, parent, chunk)

    def allocate_alternatives(self, table: BlockTable, token_ids: Sequence[int]) -> None:
        """Slots for alternative next tokens, in place of earlier ones, until `close`. Raises CacheFull."""
        self._open.add(table)
        for block in table.alternative_blocks:
            self._pool.release(block)
        table.alternative_blocks, table.alternatives = [], []
        for _ in range(-(-len(token_ids) // self._pool.block_size)):
            table.alternative_blocks.append(self._allocate())

    def clear(self) -> None:
        """Evicts everything that is not in use."""
        while self._evict():
            pass

    def _node_for(self, table: BlockTable, index: int, parent: Node, chunk: tuple[int, ...]) -> Node:
        """The node of a prompt's block: a new one, the prompt's own, grown, or another's with the same tokens."""
        same, own = parent.children.get(chunk), table.nodes[index]
        if same is not None:
            if same.block != table.blocks[index]:
                self._use(same)
                self._release(table.blocks[index], own)
                table.blocks[index] = same.block
            return same
        if own is not None:
            if len(own.tokens) < len(chunk):
                parent.detach(own)
                own.tokens = chunk
                parent.attach(own)
            return own
        node = Node(parent, table.blocks[index], chunk)
        self._pool.retain(node.block)
        parent.attach(node)
        self.blocks += 1
        return node

    def _use(self, node: Node) -> None:
        """Pins a node's block."""
        self._pool.retain(node.block)
        self._idle.pop(node, None)

    def _release(self, block: int, node: Node | None) -> None:
        """Unpins a block; once only the tree refers to it, it is the last one to be evicted."""
        self._pool.release(block)
        if node is not None and self._pool.references(block) == 1:
            self._idle[node] = None

    def _allocate(self) -> int:
        if not self._pool.free:
            self._evict()
        return self._pool.allocate()

    def _evict(self) -> bool:
        """Drops the least recently used block that is not in use; says whether there was one."""
        if not self._idle:
            return False
        node, _ = self._idle.popitem(last=False)
        if node.parent is not None:
            node.parent.detach(node)
        self._pool.release(node.block)
        self.blocks -= 1
        self.evicted_blocks += 1
        return True
