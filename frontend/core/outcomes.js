/**
 * Applies the outcome of a request, an answer or an error, to the state. Pure transitions on top of `state.js`.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Question} Question
 * @typedef {import("./state.js").Trouble} Trouble
 * @typedef {import("./distribution.js").Answer} Answer
 */
import { MOST_PAST, answerKey } from "./state.js";
import * as tree from "./tree.js";

const MOST_ANSWERS = 300;

/** @param {State} state @param {Question} question @param {Answer} answer @returns {State} */
export function receive(state, question, answer) {
  let { tree: grown, current, past, session } = state;
  if (question.whole) {
    [grown, current] = tree.rootFor(grown, question.model);
    [grown, current] = tree.extendAll(grown, current, answer.promptTokens);
    grown = tree.goneTo(tree.mark(grown, current, question.runs), current);
    const before = state.current;
    if (before !== null && before !== current) {
      if (session === "typed") {
        const places = [...past, ...state.future].filter((each) => typeof each === "number");
        if (state.base !== null) places.push(state.base);
        grown = tree.prune(grown, before, new Set([current, .../** @type {number[]} */ (places)]), true);
      } else past = [...past, before].slice(-MOST_PAST);
    }
    session = session === null ? null : "typed";
  }
  if (current === null) return state;
  const key = answerKey(question.model, question.tokenIds ?? tree.tokenIds(grown, current));
  const answers = new Map(state.answers);
  answers.delete(key);
  answers.set(key, answer);
  for (const oldest of answers.keys()) {
    if (answers.size <= MOST_ANSWERS) break;
    answers.delete(oldest);
  }
  const future = question.whole ? [] : state.future;
  const linked = question.whole && question.runs.length === 0 ? null : state.linked;
  return { ...state, tree: grown, current, past, future, session, draft: null, linked, answers, drawn: key, trouble: null, thinking: null };
}

/** @param {State} state @param {Trouble} trouble @returns {State} */
export function fail(state, trouble) {
  return { ...state, trouble, thinking: null, play: null };
}

/** @param {State} state @returns {State} with the failed request to be retried */
export function retry(state) {
  return { ...state, trouble: null };
}

/** @param {State} state @param {string} key of the question @param {boolean} long @returns {State} while its answer is slow */
export function think(state, key, long) {
  return { ...state, thinking: { key, long } };
}
