/**
 * Everything tried, as an outline of branches; and what can be done to a branch. Pure transitions beside those of `state.js`.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./tree.js").Node} Node
 * @typedef {import("./tree.js").Tree} Tree
 *
 * @typedef {object} Branch  a stretch of tokens without a fork
 * @property {number} start  its first node
 * @property {number} end  its last node
 * @property {number} depth  how many stretches stand before it
 * @property {string} words  shortened, with marks for what can't be seen
 * @property {string} model
 * @property {number | null} probability  of all tokens picked from the beginning to its end, one after the other, at
 *   temperature 1; null where none was picked
 * @property {boolean} here  the text at hand ends in it
 * @property {boolean} removable  something is left without it
 *
 * @typedef {object} Removed  a branch that can be brought back
 * @property {readonly Node[]} nodes  parents first
 * @property {number | null} current  the node the text ended at, where that was one of them
 * @property {string} words
 */
import { ending, goTo } from "./state.js";
import { groups } from "./tokens.js";
import * as tree from "./tree.js";

export const MOST_BRANCHES = 200;
const [HEAD, TAIL] = [36, 20]; // characters shown of a long stretch

/** @param {State} state @returns {Branch[]} parents before their children, in the order they were tried */
export function outline(state) {
  const { tree: all } = state;
  const current = ending(state);
  /** @type {Branch[]} */
  const found = [];
  const way = new Set(current === null ? [] : tree.path(all, current).map((node) => node.id));
  const roots = [...all.nodes.values()].filter((node) => node.parent === null);
  /** @type {{start: Node, depth: number, before: number | null}[]} */
  const open = roots.flatMap((root) => below(all, root, 0, null)).reverse();
  for (let next = open.pop(); next; next = open.pop()) {
    const { nodes, probability } = stretch(all, next.start, next.before);
    const end = nodes[nodes.length - 1];
    const here = nodes.some((node) => node.id === current);
    const inside = way.has(next.start.id);
    const first = all.nodes.get(/** @type {number} */ (next.start.parent))?.parent === null;
    const words = shorten(groups(tree.tokens(nodes)).flatMap((group) => group.pieces).map((piece) => piece.glyph || piece.text).join(""));
    const { start, depth } = next;
    found.push({ start: start.id, end: end.id, depth, words, model: end.model, probability, here, removable: !(inside && first) });
    open.push(...below(all, end, depth + 1, probability).reverse());
  }
  return found;
}

/** @param {State} state @param {number} start @returns {State} without that branch and what follows from it */
export function remove(state, start) {
  const { parent } = tree.node(state.tree, start);
  if (parent === null) return state;
  const nodes = subtree(state.tree, start);
  const gone = new Set(nodes.map((node) => node.id));
  const end = ending(state);
  const inside = end !== null && gone.has(end);
  const words = outline(state).find((branch) => branch.start === start)?.words ?? "";
  const removed = { nodes, current: inside ? end : null, words };
  const moved = inside ? goTo(state, parent) : state;
  return without({ ...moved, removed }, gone);
}

/** @param {State} state @returns {State} what was deleted last is back, and the text where it was */
export function restore(state) {
  const { removed } = state;
  if (!removed) return state;
  let all = state.tree;
  /** @type {Map<number | null, number>} */
  const ids = new Map();
  for (const { id, parent, token, probability, rank, typed } of removed.nodes) {
    const above = ids.get(parent) ?? parent;
    if (above === null || token === null || !all.nodes.has(above)) return { ...state, removed: null };
    const [grown, now] = tree.extendAll(all, above, [token]);
    all = all.nodes.has(now) ? grown : tree.change(grown, now, { probability, rank, typed });
    ids.set(id, now);
  }
  const back = { ...state, tree: all, removed: null };
  const at = ids.get(removed.current);
  return at === undefined ? back : goTo(back, at);
}

/** @param {State} state @returns {State} with no more branches than fit: the oldest go first, never the text at hand */
export function trim(state) {
  const end = ending(state);
  const leaves = [...state.tree.nodes.values()].filter((node) => node.parent !== null && !node.children.length && node.id !== end);
  const excess = leaves.length - MOST_BRANCHES;
  if (excess <= 0) return state;
  const kept = new Set(end === null ? [] : [end]);
  let all = state.tree;
  for (const leaf of leaves.sort((a, b) => a.id - b.id).slice(0, excess)) all = tree.prune(all, leaf.id, kept);
  return cleaned({ ...state, tree: all });
}

/** @param {Tree} all @param {Node} node @param {number} depth @param {number | null} before */
function below(all, node, depth, before) {
  return node.children.map((child) => ({ start: tree.node(all, child), depth, before }));
}

/** @param {Tree} all @param {Node} start @param {number | null} before probability of the way to it */
function stretch(all, start, before) {
  const nodes = [start];
  let probability = before;
  for (let at = start; ; at = tree.node(all, at.children[0]), nodes.push(at)) {
    if (at.probability !== null) probability = (probability ?? 1) * at.probability;
    if (at.children.length !== 1 || at.typed !== null) return { nodes, probability };
  }
}

/** @param {Tree} all @param {number} start @returns {Node[]} parents first */
function subtree(all, start) {
  const nodes = [tree.node(all, start)];
  for (let at = 0; at < nodes.length; at++) for (const child of nodes[at].children) nodes.push(tree.node(all, child));
  return nodes;
}

/** @param {State} state @param {ReadonlySet<number>} gone a whole subtree @returns {State} */
function without(state, gone) {
  const nodes = new Map([...state.tree.nodes].filter(([id]) => !gone.has(id)));
  for (const [id, node] of nodes) {
    if (!node.children.some((child) => gone.has(child))) continue;
    const latest = node.latest !== null && gone.has(node.latest) ? null : node.latest;
    nodes.set(id, { ...node, children: node.children.filter((child) => !gone.has(child)), latest });
  }
  return cleaned({ ...state, tree: { ...state.tree, nodes } });
}

/** @param {State} state @returns {State} whose history knows no place that is gone */
function cleaned(state) {
  const there = (/** @type {import("./state.js").Place} */ place) => typeof place !== "number" || state.tree.nodes.has(place);
  return { ...state, past: state.past.filter(there), future: state.future.filter(there) };
}

/** @param {string} words */
function shorten(words) {
  if (words.length <= HEAD + TAIL + 3) return words;
  return `${words.slice(0, HEAD).toWellFormed()} … ${words.slice(-TAIL).toWellFormed()}`;
}
