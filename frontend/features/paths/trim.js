/**
 * Keeps the number of branches within its limit. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { ending } from "../../core/state.js";
import * as tree from "../../core/tree.js";

export const MOST_BRANCHES = 200;

/** @param {State} state @returns {State} with the oldest branches pruned to the limit, never the current text */
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

/** @param {State} state @returns {State} with deleted nodes removed from the undo history */
export function cleaned(state) {
  const there = (/** @type {import("../../core/state.js").UndoStep} */ place) => typeof place !== "number" || state.tree.nodes.has(place);
  return { ...state, past: state.past.filter(there), future: state.future.filter(there) };
}
