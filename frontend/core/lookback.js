/**
 * Looking back: the chart shows an earlier position, and the text stays unchanged. Pure transitions on top of `state.js`.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./tree.js").Node} Node
 */
import { ending, stand } from "./state.js";
import * as tree from "./tree.js";

/** @param {State} state @param {number} id of a token of the text @returns {State} the chart shows the alternatives to that token */
export function look(state, id) {
  const node = state.tree.nodes.get(id);
  const end = ending(state);
  if (!node || node.parent === null || state.draft !== null || tree.isFirstMark(state.tree, id)) return state;
  // The token may have left the text just before the click.
  if (end === null || !tree.leadsTo(state.tree, id, end)) return state;
  return stand(state, node.parent);
}

/** @param {State} state @returns {State} the chart shows the next token again */
export function leave(state) {
  return state.end === null ? state : stand(state, state.end);
}

/** @param {State} state @returns {Node | null} the text's token at the chart's position; null at the end */
export function chosen({ tree: all, current, end }) {
  if (end === null || current === null) return null;
  let at = tree.node(all, end);
  while (at.parent !== current && at.parent !== null) at = tree.node(all, at.parent);
  return at.parent === current ? at : null;
}

/** @param {State} state @returns {Node | null} the next token: in the text, or at its end the one visited last */
export function following(state) {
  const { tree: all, current } = state;
  const latest = current === null ? null : tree.node(all, current).latest;
  return chosen(state) ?? (latest === null ? null : tree.node(all, latest));
}

/** @param {State} state @returns {number[]} ids to request whatever their rank */
export function watched(state) {
  const token = chosen(state)?.token;
  return token ? [token.id] : [];
}
