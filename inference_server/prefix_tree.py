"""Which token prefixes are stored, shared by all prompts that begin alike. Plain Python: pages are numbers.

root ── [The cat sat on]  ── [the mat and slept]
     │                    └─ [the sofa]
     └─ [The dog]
A node is one page. A page that is not full has no children; prompts that part inside a page get a copy of the shared
part of it. The order of use keeps every page behind the pages that follow it, so the first unused page is a leaf.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from inference_server.page_pool import CacheFull, PagePool


class Node:
    """One page of the tree: the tokens stored in it, of which a reader may use any first part."""

    __slots__ = ("children", "page", "parent", "tokens")

    def __init__(self, parent: "Node | None", page: int, tokens: tuple[int, ...]) -> None:
        self.parent = parent
        self.page = page
        self.tokens = tokens
        self.children: dict[int, dict[tuple[int, ...], Node]] = {}

    def child(self, tokens: tuple[int, ...]) -> "Node | None":
        return self.children.get(tokens[0], {}).get(tokens)

    def attach(self, child: "Node") -> None:
        self.children.setdefault(child.tokens[0], {})[child.tokens] = child

    def detach(self, child: "Node") -> None:
        bucket = self.children[child.tokens[0]]
        del bucket[child.tokens]
        if not bucket:
            del self.children[child.tokens[0]]


@dataclass(slots=True, eq=False)
class Stored:
    """A prompt in use: the tokens whose keys and values are stored, and the pages that hold them."""

    tokens: list[int] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    nodes: list[Node | None] = field(default_factory=list)
    alternatives: list[int] = field(default_factory=list)  # next tokens kept beside the prompt
    extras: list[int] = field(default_factory=list)  # the pages that hold them

    def __len__(self) -> int:
        return len(self.tokens)


class PrefixTree:
    """The stored prefixes, bounded in pages, with least-recently-used eviction of what nobody uses."""

    def __init__(self, pool: PagePool, copy_page: Callable[[int, int], None]) -> None:
        """`copy_page(source, target)` copies what a page stores."""
        self._pool = pool
        self._copy_page = copy_page
        self._root = Node(None, -1, ())
        self._order: OrderedDict[Node, None] = OrderedDict()
        self._open: set[Stored] = set()
        self.hit_tokens = 0
        self.evicted_pages = 0

    @property
    def pages(self) -> int:
        """Pages the tree holds, in use or not."""
        return len(self._order)

    @property
    def open_prompts(self) -> int:
        """Handles that are not closed."""
        return len(self._open)

    @property
    def stray_holds(self) -> int:
        """How many more holds on pages there are than the tree and the open handles have; 0, or pages leak."""
        opened = sum(len(stored.pages) + len(stored.extras) for stored in tuple(self._open))
        return self._pool.holds - self.pages - opened

    def open(self, token_ids: Sequence[int]) -> Stored:
        """The longest stored prefix of `token_ids`, kept from eviction until `close`."""
        size, node, stored, at = self._pool.page_tokens, self._root, Stored(), 0
        while at < len(token_ids):
            chunk = tuple(token_ids[at : at + size])
            found, shared = self._closest(node, chunk)
            if found is None:
                break
            self._pool.hold(found.page)
            stored.pages.append(found.page)
            stored.nodes.append(found)
            stored.tokens.extend(chunk[:shared])
            if shared < size:
                break
            node, at = found, at + size
        self._touch(stored.nodes)
        self._open.add(stored)
        self.hit_tokens += len(stored)
        return stored

    def close(self, stored: Stored) -> None:
        """Gives the prompt's pages back to the tree, which keeps them until their turn for eviction."""
        for page in (*stored.pages, *stored.extras):
            self._pool.release(page)
        stored.tokens, stored.pages, stored.nodes = [], [], []
        stored.alternatives, stored.extras = [], []
        self._open.discard(stored)

    def fork(self, stored: Stored) -> Stored:
        """A second handle on the same prompt, without its alternatives; to be closed on its own."""
        for page in stored.pages:
            self._pool.hold(page)
        forked = Stored(list(stored.tokens), list(stored.pages), list(stored.nodes))
        self._open.add(forked)
        return forked

    def reserve(self, stored: Stored, count: int) -> None:
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
            pool.release(stored.pages[-1])
            stored.pages[-1], stored.nodes[-1] = added.pop(0), None
        left = count - spare
        for page in added:
            pool.claim(page, 0, min(size, left))
            left -= size
        stored.pages.extend(added)
        stored.nodes.extend([None] * len(added))

    def commit(self, stored: Stored, token_ids: Iterable[int]) -> None:
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
        self._touch(stored.nodes)

    def reserve_alternatives(self, stored: Stored, token_ids: Sequence[int]) -> None:
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

    def _place(self, stored: Stored, index: int, parent: Node, chunk: tuple[int, ...]) -> Node:
        """The node for a page of the prompt: a new one, the one it grew from, or another's with the same tokens."""
        same, own = parent.child(chunk), stored.nodes[index]
        if same is not None:
            if same.page != stored.pages[index]:
                self._pool.hold(same.page)
                self._pool.release(stored.pages[index])
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
        self._order[node] = None
        return node

    @staticmethod
    def _closest(node: Node, chunk: tuple[int, ...]) -> tuple[Node | None, int]:
        """The child sharing the most first tokens with `chunk`, and how many."""
        exact = node.child(chunk)
        if exact is not None:
            return exact, len(chunk)
        best, most = None, 0
        for tokens, child in node.children.get(chunk[0], {}).items():
            shared = next((i for i, (a, b) in enumerate(zip(tokens, chunk, strict=False)) if a != b), None)
            shared = min(len(tokens), len(chunk)) if shared is None else shared
            if shared > most:
                best, most = child, shared
        return best, most

    def _touch(self, nodes: Sequence[Node | None]) -> None:
        for node in reversed(nodes):
            if node is not None:
                self._order.move_to_end(node)

    def _take(self) -> int:
        if not self._pool.free:
            self._evict()
        return self._pool.take()

    def _evict(self) -> bool:
        """Drops the least recently used page that only the tree holds; says whether there was one."""
        for node in self._order:
            if self._pool.references(node.page) == 1:
                break
        else:
            return False
        del self._order[node]
        if node.parent is not None:
            node.parent.detach(node)
        self._pool.release(node.page)
        self.evicted_pages += 1
        return True
