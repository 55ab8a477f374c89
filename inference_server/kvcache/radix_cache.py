"""Which token prefixes are stored, shared by all prompts that begin alike. Plain Python: pages are numbers.

root ── [The cat sat on]  ── [the mat and slept]
     │                    └─ [the sofa]
     └─ [The dog]
A node is one page. A page that is not full has no children; prompts that part inside a page get a copy of the shared
part of it. Pages that nobody uses stand in the order in which they were let go, each behind those that follow it: so
the first of them is a leaf, and the next to be evicted.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from inference_server.kvcache.block_pool import BlockPool, CacheFull
from inference_server.kvcache.siblings import Siblings


class Node:
    """One page of the tree: the tokens stored in it, of which a reader may use any first part."""

    __slots__ = ("children", "page", "parent", "tokens")

    def __init__(self, parent: "Node | None", page: int, tokens: tuple[int, ...]) -> None:
        self.parent = parent
        self.page = page
        self.tokens = tokens
        self.children: Siblings[Node] = Siblings()

    def attach(self, child: "Node") -> None:
        self.children.add(child.tokens, child)

    def detach(self, child: "Node") -> None:
        self.children.remove(child.tokens)


@dataclass(slots=True, eq=False)
class BlockTable:
    """A prompt in use: the tokens whose keys and values are stored, and the pages that hold them."""

    tokens: list[int] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    nodes: list[Node | None] = field(default_factory=list)
    alternatives: list[int] = field(default_factory=list)  # next tokens kept beside the prompt
    extras: list[int] = field(default_factory=list)  # the pages that hold them

    def __len__(self) -> int:
        return len(self.tokens)


class RadixCache:
    """The stored prefixes, bounded in pages, with least-recently-used eviction of what nobody uses."""

    def __init__(self, pool: BlockPool, copy_page: Callable[[int, int], None]) -> None:
        """`copy_page(source, target)` copies what a page stores."""
        self._pool = pool
        self._copy_page = copy_page
        self._root = Node(None, -1, ())
        self._idle: OrderedDict[Node, None] = OrderedDict()  # held by the tree alone, the longest first
        self._open: set[BlockTable] = set()
        self.pages = 0  # that the tree holds, in use or not
        self.hit_tokens = 0
        self.evicted_pages = 0

    @property
    def open_prompts(self) -> int:
        """Handles that are not closed."""
        return len(self._open)

    @property
    def stray_holds(self) -> int:
        """How many more holds on pages there are than the tree and the open handles have; 0, or pages leak."""
        opened = sum(len(stored.pages) + len(stored.extras) for stored in tuple(self._open))
        return self._pool.holds - self.pages - opened

    def open(self, token_ids: Sequence[int]) -> BlockTable:
        """The longest stored prefix of `token_ids`, kept from eviction until `close`."""
        size, node, stored, at = self._pool.page_tokens, self._root, BlockTable(), 0
        while at < len(token_ids):
            chunk = tuple(token_ids[at : at + size])
            found, shared = node.children.closest(chunk)
            if found is None:
                break
            self._use(found)
            stored.pages.append(found.page)
            stored.nodes.append(found)
            stored.tokens.extend(chunk[:shared])
            if shared < size:
                break
            node, at = found, at + size
        self._open.add(stored)
        self.hit_tokens += len(stored)
        return stored

    def close(self, stored: BlockTable) -> None:
        """Gives the prompt's pages back to the tree, which keeps them until their turn for eviction."""
        for page, node in zip(reversed(stored.pages), reversed(stored.nodes), strict=True):
            self._let_go(page, node)
        for page in stored.extras:
            self._pool.release(page)
        stored.tokens, stored.pages, stored.nodes = [], [], []
        stored.alternatives, stored.extras = [], []
        self._open.discard(stored)

    def fork(self, stored: BlockTable) -> BlockTable:
        """A second handle on the same prompt, without its alternatives; to be closed on its own."""
        for page in stored.pages:
            self._pool.hold(page)
        forked = BlockTable(list(stored.tokens), list(stored.pages), list(stored.nodes))
        self._open.add(forked)
        return forked

    def reserve(self, stored: BlockTable, count: int) -> None:
        """Makes room for `count` more tokens, evicting if needed. Raises CacheFull, leaving the prompt as it was."""
        size, pool = self._pool.page_tokens, self._pool
        self._open.add(stored)
        while len(stored.pages) * size >= len(stored) + size:  # room that failed work had reserved
            pool.release(stored.pages.pop())
            stored.nodes.pop()
        used = len(stored) % size
        spare = len(stored.pages) * size - len(stored)
        added: list[int] = []
        replaced = used != 0 and not pool.claim(stored.pages[-1], used, min(count, spare))
        try:
            added.extend(self._take() for _ in range(-(-(count - spare) // size) + replaced))
        except CacheFull:
            for page in added:
                pool.release(page)
            raise
        if replaced:
            self._copy_page(stored.pages[-1], added[0])
            pool.claim(added[0], 0, used + min(count, spare))
            self._let_go(stored.pages[-1], stored.nodes[-1])
            stored.pages[-1], stored.nodes[-1] = added.pop(0), None
        left = count - spare
        for page in added:
            pool.claim(page, 0, min(size, left))
            left -= size
        stored.pages.extend(added)
        stored.nodes.extend([None] * len(added))

    def commit(self, stored: BlockTable, token_ids: Iterable[int]) -> None:
        """The reserved slots now store `token_ids`: others may find them."""
        size = self._pool.page_tokens
        first = len(stored) // size
        stored.tokens.extend(token_ids)
        parent = stored.nodes[first - 1] if first else self._root
        for index in range(first, len(stored.pages)):
            if parent is None:
                raise RuntimeError("This is a bug: a page follows one that is not in the tree.")
            chunk = tuple(stored.tokens[index * size : (index + 1) * size])
            parent = stored.nodes[index] = self._place(stored, index, parent, chunk)

    def reserve_alternatives(self, stored: BlockTable, token_ids: Sequence[int]) -> None:
        """Room for alternative next tokens in place of earlier ones, held until `close`. Raises CacheFull."""
        self._open.add(stored)
        for page in stored.extras:
            self._pool.release(page)
        stored.extras, stored.alternatives = [], []
        for _ in range(-(-len(token_ids) // self._pool.page_tokens)):
            stored.extras.append(self._take())

    def clear(self) -> None:
        """Evicts everything that is not in use."""
        while self._evict():
            pass

    def _place(self, stored: BlockTable, index: int, parent: Node, chunk: tuple[int, ...]) -> Node:
        """The node for a page of the prompt: a new one, the one it grew from, or another's with the same tokens."""
        same, own = parent.children.get(chunk), stored.nodes[index]
        if same is not None:
            if same.page != stored.pages[index]:
                self._use(same)
                self._let_go(stored.pages[index], own)
                stored.pages[index] = same.page
            return same
        if own is not None:
            if len(own.tokens) < len(chunk):
                parent.detach(own)
                own.tokens = chunk
                parent.attach(own)
            return own
        node = Node(parent, stored.pages[index], chunk)
        self._pool.hold(node.page)
        parent.attach(node)
        self.pages += 1
        return node

    def _use(self, node: Node) -> None:
        """Holds a node's page."""
        self._pool.hold(node.page)
        self._idle.pop(node, None)

    def _let_go(self, page: int, node: Node | None) -> None:
        """Gives back a page, and where only the tree still holds it, it is the last of those to be evicted."""
        self._pool.release(page)
        if node is not None and self._pool.references(page) == 1:
            self._idle[node] = None

    def _take(self) -> int:
        if not self._pool.free:
            self._evict()
        return self._pool.take()

    def _evict(self) -> bool:
        """Drops the page that nobody has used for the longest time; says whether there was one."""
        if not self._idle:
            return False
        node, _ = self._idle.popitem(last=False)
        if node.parent is not None:
            node.parent.detach(node)
        self._pool.release(node.page)
        self.pages -= 1
        self.evicted_pages += 1
        return True
