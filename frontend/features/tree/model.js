/**
 * Grown branches: how they arrive, and how they become the text. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Growth} Growth
 * @typedef {import("../../core/slices_later.js").Grown} Grown
 * @typedef {import("../../core/slices_later.js").GrownNode} GrownNode
 * @typedef {import("./layout.js").Place} Place
 */
import * as format from "../../core/format.js";
import { goTo } from "../../core/state.js";
import * as tree from "../../core/tree.js";

export const MOST_GROWN = 2000;
export const DEPTHS = [2, 3, 5, 8];
export const SIZES = [50, 200, 1000, 2000];

/** @param {State} state @param {number} at a node @param {number} depth @param {number} most nodes @returns {State} growing from it */
export function begin(state, at, depth, most) {
  if (!state.tree.nodes.has(at) || state.lost !== null) return state;
  const growths = new Map([...state.grown.growths].filter(([root]) => root !== at && state.tree.nodes.has(root)));
  for (const oldest of growths.keys()) {
    if (total(growths) + most <= MOST_GROWN) break;
    growths.delete(oldest);
  }
  growths.set(at, { nodes: [], mass: null });
  return change(state, { growths, running: { at, depth, most }, trouble: null });
}

/** @param {State} state @param {number} at @param {import("../../net/grow.js").Part} part @returns {State} */
export function add(state, at, { nodes, mass }) {
  const growth = state.grown.growths.get(at);
  if (!growth || state.grown.running?.at !== at) return state;
  return change(state, { growths: new Map(state.grown.growths).set(at, { nodes: [...growth.nodes, ...nodes], mass }) });
}

/** @param {State} state @param {string | null} trouble why, if it failed @returns {State} */
export function end(state, trouble = null) {
  return state.grown.running === null ? state : change(state, { running: null, trouble });
}

/** @param {State} state @returns {State} without any grown branch */
export function clear(state) {
  return state.grown.growths.size ? change(state, { growths: new Map(), running: null, trouble: null }) : state;
}

/** @param {State} state @param {Place} place @returns {State} with the text ending there; what was grown becomes one of the branches tried */
export function take(state, { own, grown }) {
  if (grown === null) return own === null ? state : goTo(state, own);
  const growth = state.grown.growths.get(grown.root);
  if (!growth || !state.tree.nodes.has(grown.root)) return state;
  let { tree: all } = state;
  let at = grown.root;
  for (const node of way(growth, grown.id)) {
    const known = tree.node(all, at).children.some((child) => tree.node(all, child).token?.id === node.token.id);
    if (known) [all, at] = tree.extendAll(all, at, [node.token]);
    else [all, at] = tree.extend(all, at, node.token, { probability: Math.exp(node.logprob), rank: node.rank });
  }
  return goTo({ ...state, tree: all }, at);
}

/** @param {Growth} growth @param {number} id @returns {GrownNode[]} from the first node to that one */
export function way(growth, id) {
  /** @type {GrownNode[]} */
  const nodes = [];
  for (let at = growth.nodes[id - 1]; at; at = growth.nodes[at.parent - 1]) nodes.push(at);
  return nodes.reverse();
}

/** @param {State} state @returns {string} what the last growth covers */
export function told({ grown }) {
  if (grown.trouble !== null) return grown.trouble;
  const growth = [...grown.growths.values()].at(-1);
  if (!growth?.mass) return "";
  const { covered, open, pruned } = growth.mass;
  return `${format.count(growth.nodes.length)} branches: ${format.percent(covered)} of the probability reaches full depth or the end, ${format.percent(open)} goes on, ${format.percent(pruned)} is not shown.`;
}

/** @param {ReadonlyMap<number, Growth>} growths */
function total(growths) {
  let count = 0;
  for (const { nodes } of growths.values()) count += nodes.length;
  return count;
}

/** @param {State} state @param {Partial<Grown>} changes @returns {State} */
function change(state, changes) {
  return { ...state, grown: { ...state.grown, ...changes } };
}
