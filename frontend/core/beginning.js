/**
 * The place that nothing stands before, and what its bars say of a token that begins a text. Pure.
 *
 * @typedef {import("./state.js").State} State
 */
import { scoreOf } from "./distribution.js";
import * as tree from "./tree.js";

/** @param {State} state @returns {boolean} nothing stands before the place of the chart, and the tokenizer puts nothing there */
export function atFirst({ tree: all, current, models }) {
  if (current === null || tree.node(all, current).parent !== null) return false;
  const { model } = tree.node(all, current);
  return models?.find((each) => each.name === model)?.facts?.prefixTokenIds.length === 0;
}

/**
 * @param {State} state @param {import("./distribution.js").Answer} answer where the chart stands
 * @param {import("./distribution.js").Candidate} candidate of it
 * @returns {import("./tree.js").Score | null} as the server scores it in a text: the bars of an empty text say nothing of a token that begins one
 */
export function scoreOfNext(state, answer, candidate) {
  return atFirst(state) ? { logprob: null, rank: null, entropy: null } : scoreOf(answer, candidate);
}
