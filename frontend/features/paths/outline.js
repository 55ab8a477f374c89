/**
 * The outline of all branches. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tree.js").Node} Node
 * @typedef {import("../../core/tree.js").Tree} Tree
 *
 * @typedef {object} Branch  a run of tokens without a fork
 * @property {number} start  its first node
 * @property {number} end  its last node
 * @property {number} depth  how many branches lead to it
 * @property {string} words  shortened, with invisible characters marked
 * @property {string} model
 * @property {number | null} logprob  total of all picked tokens from the beginning to its end, at temperature 1;
 *   null if none was picked
 * @property {string | null} name  chosen by the user
 * @property {boolean} forked  has subbranches
 * @property {number} hidden  how many subbranches are hidden; 0 if unfolded
 * @property {boolean} here  the current text ends in it, or in a hidden subbranch
 * @property {boolean} removable  it is not the only branch
 */
import { ending } from "../../core/state.js";
import * as tree from "../../core/tree.js";
import { stretch, wordsOf } from "./model.js";

/** @param {State} state @returns {Branch[]} parents before their children, in the order they were tried */
export function outline(state) {
  const { tree: all } = state;
  const end = ending(state);
  /** @type {Branch[]} */
  const found = [];
  const way = new Set(end === null ? [] : tree.path(all, end).map((node) => node.id));
  const roots = [...all.nodes.values()].filter((node) => node.parent === null);
  /** @type {{start: Node, depth: number, before: number | null}[]} */
  const open = roots.flatMap((root) => below(all, root, 0, null)).reverse();
  for (let next = open.pop(); next; next = open.pop()) {
    const { start, depth } = next;
    const { nodes, logprob } = stretch(all, start, next.before);
    const last = nodes[nodes.length - 1];
    // A leading special token is not a separate branch.
    if (tree.isFirstMark(all, last.id) && last.children.length > 1 && last.typed === null && last.id !== end) {
      open.push(...below(all, last, depth, null).reverse());
      continue;
    }
    const folded = last.children.length > 0 && nodes.some((node) => node.folded);
    const inside = way.has(start.id);
    const parent = /** @type {number} */ (start.parent);
    const first = tree.node(all, parent).parent === null || tree.isFirstMark(all, parent);
    found.push({
      start: start.id,
      end: last.id,
      depth,
      words: wordsOf(all, nodes),
      model: last.model,
      logprob,
      name: nodes.findLast((node) => node.name)?.name ?? null,
      forked: last.children.length > 0,
      hidden: folded ? forks(all, last) : 0,
      here: nodes.some((node) => node.id === end) || (folded && inside),
      removable: !(inside && first),
    });
    if (!folded) open.push(...below(all, last, depth + 1, logprob).reverse());
  }
  return found;
}

/** @param {Tree} all @param {Node} node @param {number} depth @param {number | null} before */
function below(all, node, depth, before) {
  return node.children.map((child) => ({ start: tree.node(all, child), depth, before }));
}

/** @param {Tree} all @param {Node} end of a branch @returns {number} number of subbranches */
function forks(all, end) {
  let count = 0;
  const open = [...end.children];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const { nodes } = stretch(all, tree.node(all, id), null);
    open.push(...nodes[nodes.length - 1].children);
    count += 1;
  }
  return count;
}
