/**
 * What the state asks of the server, and what it can draw meanwhile. Pure.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Question} Question
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./distribution.js").Drawing} Drawing
 *
 * @typedef {object} Scene
 * @property {Drawing} drawing
 * @property {boolean} stale  it belongs to another text or temperature than the one at hand
 */
import { redraw } from "./distribution.js";
import { answerKey } from "./state.js";
import * as tree from "./tree.js";

/**
 * @param {State} state
 * @param {boolean} [even] even where nobody could answer
 * @returns {Question | null} null where nothing is to be asked now
 */
export function wanted(state, even = false) {
  const { model, settings } = state;
  if (model === null || state.held) return null;
  /** @type {Question} */
  const question = { key: "", model, text: state.draft, tokenIds: null, settings };
  if (state.draft === null) {
    if (state.current === null) return null;
    const answer = answerHere(state);
    if (answer && answers(answer, settings.topK) && answer.temperature === settings.temperature) return null;
    question.tokenIds = tree.tokenIds(state.tree, state.current);
  }
  question.key = JSON.stringify([model, question.text, question.tokenIds, settings.topK, settings.temperature]);
  if (even) return question;
  const ready = state.models?.find((each) => each.name === model)?.state === "ready";
  return ready && state.lost === null && state.trouble?.key !== question.key ? question : null;
}

/** @param {State} state @returns {Answer | null} the answer for the text at hand, at whatever temperature */
export function answerHere(state) {
  if (state.draft !== null || state.current === null) return null;
  const { model } = tree.node(state.tree, state.current);
  return state.answers.get(answerKey(model, tree.tokenIds(state.tree, state.current))) ?? null;
}

/** @param {State} state @returns {Scene | null} what the chart shows; null before the first answer */
export function scene(state) {
  const { topK, temperature } = state.settings;
  const here = answerHere(state);
  const answer = here ?? (state.drawn === null ? null : state.answers.get(state.drawn));
  if (!answer) return null;
  const drawing = redraw(answer, temperature, topK);
  if (drawing) return { drawing, stale: here === null };
  const held = redraw(answer, answer.temperature, topK);
  return held && { drawing: held, stale: true };
}

/** @param {Answer} answer @param {number} topK @returns {boolean} it holds that many candidates, or all there are */
function answers(answer, topK) {
  return answer.topK >= topK || answer.candidates.length >= answer.vocabSize;
}
