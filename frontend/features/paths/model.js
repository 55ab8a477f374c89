/**
 * Operations on branches. Pure transitions on top of `core/state.js`.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tree.js").Node} Node
 * @typedef {import("../../core/tree.js").Tree} Tree
 */
import { leave } from "../../core/lookback.js";
import { ending, goTo } from "../../core/state.js";
import { groups } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { cleaned } from "./trim.js";

const MOST_REMOVED = 20;
const [HEAD, TAIL] = [36, 20]; // characters shown of a long branch

/** @param {State} state @param {number} start @param {string} name empty: none @returns {State} with the branch renamed */
export function rename(state, start, name) {
  const said = name.trim().slice(0, tree.LONGEST_NAME).toWellFormed().trim() || null;
  return mark(state, start, "name", said, null);
}

/** @param {State} state @param {number} start @param {boolean} folded @returns {State} with its subbranches hidden or shown */
export function fold(state, start, folded) {
  return mark(state, start, "folded", folded, false);
}

/** @param {State} state @param {number} start @returns {State} without that branch and its subbranches */
export function remove(state, start) {
  const parent = state.tree.nodes.get(start)?.parent ?? null;
  if (parent === null) return state; // or removed since it was drawn
  const nodes = subtree(state.tree, start);
  const gone = new Set(nodes.map((node) => node.id));
  const end = ending(state);
  const inside = end !== null && gone.has(end);
  const { nodes: line } = stretch(state.tree, nodes[0], null);
  const words = line.findLast((node) => node.name)?.name ?? wordsOf(state.tree, line);
  const removed = [...state.removed, { nodes, current: inside ? end : null, words }].slice(-MOST_REMOVED);
  const moved = inside ? goTo(state, parent) : state.current !== null && gone.has(state.current) ? leave(state) : state;
  return without({ ...moved, removed }, gone);
}

/** @param {State} state @returns {State} with the last deletion undone */
export function restore(state) {
  const last = state.removed.at(-1);
  if (!last) return state;
  const nodes = new Map(state.tree.nodes);
  let { nextId } = state.tree;
  /** @type {Map<number | null, number>} */
  const ids = new Map();
  for (const node of last.nodes) {
    const above = nodes.get(/** @type {number} */ (ids.get(node.parent) ?? node.parent));
    if (!above || !node.token) break;
    let id = above.children.find((child) => nodes.get(child)?.token?.id === node.token?.id);
    if (id === undefined) {
      id = nextId++;
      nodes.set(above.id, { ...above, children: [...above.children, id] });
      nodes.set(id, { ...node, id, parent: above.id, latest: null, children: [] });
    }
    ids.set(node.id, id);
  }
  // Earlier deletions may refer to restored nodes, which have new ids.
  const removed = state.removed.slice(0, -1).map((each) => ({
    ...each,
    nodes: each.nodes.map((node) => ({ ...node, parent: ids.get(node.parent) ?? node.parent })),
  }));
  const back = { ...state, tree: { nodes, nextId }, removed };
  const at = ids.get(last.current);
  return at === undefined ? back : goTo(back, at);
}

/** @param {Tree} all @param {Node} start @param {number | null} before log-probability of the path to it */
export function stretch(all, start, before) {
  const nodes = [start];
  let logprob = before;
  for (let at = start; ; at = tree.node(all, at.children[0]), nodes.push(at)) {
    const own = tree.logprobOf(at);
    if (own !== null) logprob = (logprob ?? 0) + own;
    if (at.children.length !== 1 || at.typed !== null) return { nodes, logprob };
  }
}

/**
 * @template {"name" | "folded"} K
 * @param {State} state @param {number} start of a branch @param {K} field @param {Node[K]} value @param {Node[K]} none
 * @returns {State} with that value at the branch's first token only
 */
function mark(state, start, field, value, none) {
  if (!state.tree.nodes.has(start)) return state;
  let all = state.tree;
  for (const { id } of stretch(all, tree.node(all, start), null).nodes) all = tree.change(all, id, { [field]: id === start ? value : none });
  return { ...state, tree: all };
}

/** @param {Tree} all @param {readonly Node[]} nodes of a branch @returns {string} */
export function wordsOf(all, nodes) {
  const told = nodes.length > 1 && tree.isFirstMark(all, nodes[0].id) ? nodes.slice(1) : nodes;
  return shorten(groups(tree.tokens(told)).flatMap((group) => group.pieces).map((piece) => piece.glyph || piece.text).join(""));
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

/** @param {string} words */
function shorten(words) {
  if (words.length <= HEAD + TAIL + 3) return words;
  return `${words.slice(0, HEAD).toWellFormed()} … ${words.slice(-TAIL).toWellFormed()}`;
}
