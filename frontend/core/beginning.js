/**
 * The first position of a text, and how its token is scored. Pure.
 *
 * @typedef {import("./state.js").State} State
 */
import { scoreOf } from "./distribution.js";
import * as tree from "./tree.js";

/** @param {State} state @returns {boolean} the chart is at the first position, and the tokenizer adds no BOS */
export function atFirst({ tree: all, current, models }) {
  if (current === null || tree.node(all, current).parent !== null) return false;
  const { model } = tree.node(all, current);
  return models?.find((each) => each.name === model)?.facts?.prefixTokenIds.length === 0;
}

/**
 * @param {State} state @param {import("./distribution.js").Answer} answer at the chart's position
 * @param {import("./distribution.js").Candidate} candidate of it
 * @returns {import("./tree.js").Score | null} as the server would score it in a text: null values for a first token without BOS
 */
export function scoreOfNext(state, answer, candidate) {
  return atFirst(state) ? { logprob: null, rank: null, entropy: null } : scoreOf(answer, candidate);
}
