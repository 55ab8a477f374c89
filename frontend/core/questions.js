/**
 * What the state asks of the server, and what it can draw meanwhile. Pure.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./cuts.js").CutDrawing} Drawing
 *
 * @typedef {object} Question
 * @property {string} key  the same for the same question
 * @property {string} model
 * @property {string | null} text  typed text, or
 * @property {number[] | null} tokenIds  the tokens of the way here
 * @property {import("./settings.js").Settings} settings
 * @property {readonly number[]} draws  to be answered each with a token
 * @property {readonly number[]} watch  ids of tokens wanted wherever they rank
 * @property {boolean} whole  the prompt's tokens are wanted too
 *
 * @typedef {object} Scene
 * @property {Drawing} drawing
 * @property {boolean} stale  it belongs to another text or temperature than the one at hand
 */
import { cut } from "./cuts.js";
import { redraw } from "./distribution.js";
import { draws } from "./draws.js";
import { chosen, watched } from "./lookback.js";
import { answerKey } from "./state.js";
import * as tree from "./tree.js";

export const BREADTH = 200; // candidates at hand while cut-offs can be dragged or distributions compared, so that nearly all falls among them

/**
 * @param {State} state
 * @param {boolean} [even] even where nobody could answer
 * @returns {Question | null} null where nothing is to be asked now
 */
export function wanted(state, even = false) {
  const { model } = state;
  const settings = state.open.more || state.pins.length ? { ...state.settings, topK: Math.max(breadth(state), state.settings.topK) } : state.settings;
  if (model === null || state.held) return null;
  /** @type {Question} */
  const question = { key: "", model, text: state.draft, tokenIds: null, settings, draws: draws(state), watch: [], whole: true };
  if (state.draft !== null && state.linked?.model === model) {
    Object.assign(question, { text: null, tokenIds: state.linked.ids });
  } else if (state.draft === null) {
    if (state.current === null) return null;
    question.whole = false;
    question.watch = watched(state);
    const answer = answerHere(state);
    if (answer && answers(answer, question)) return null;
    question.tokenIds = tree.tokenIds(state.tree, state.current);
  }
  question.key = JSON.stringify([model, question.text, question.tokenIds, settings, question.draws, question.watch]);
  if (even) return question;
  const ready = state.models?.find((each) => each.name === model)?.state === "ready";
  return ready && state.lost === null && state.trouble?.key !== question.key ? question : null;
}

/** @param {State} state @returns {number} no more than the model has tokens */
function breadth({ models, model }) {
  return Math.min(BREADTH, models?.find((each) => each.name === model)?.facts?.vocabSize || BREADTH);
}

/** @param {State} state @returns {Answer | null} the answer for the text at hand, at whatever temperature */
export function answerHere(state) {
  if (state.draft !== null || state.current === null) return null;
  const { model } = tree.node(state.tree, state.current);
  return state.answers.get(answerKey(model, tree.tokenIds(state.tree, state.current))) ?? null;
}

/** @param {Pick<State, "room" | "draft" | "current">} state @returns {boolean} nothing may tell what comes next */
export function hidden({ room, draft, current }) {
  return room.guessing && (draft !== null || room.seen !== current);
}

/** @param {State} state @returns {Scene | null} what the chart shows; null before the first answer, and where it may not be told */
export function scene(state) {
  if (hidden(state)) return null;
  const { topK, temperature } = state.settings;
  const here = answerHere(state);
  const answer = here ?? (state.drawn === null ? null : state.answers.get(state.drawn));
  if (!answer) return null;
  // The token that the text has here has a bar of its own, wherever it ranks.
  const id = here ? chosen(state)?.token?.id : undefined;
  const also = [...answer.candidates, ...answer.watched].filter(({ token }) => token.id === id).slice(0, 1);
  const drawing = redraw(answer, temperature, topK, also);
  if (drawing) return { drawing: cut(answer, drawing, temperature, state.settings), stale: here === null };
  // The nearest that can be drawn: a thumb on its way to the cold meets no jump back.
  const nearest = temperature < answer.temperature ? Math.min(answer.temperature, 1 / (answer.partition.at(-1)?.b ?? 0)) : answer.temperature;
  const held = redraw(answer, nearest, topK);
  return held && { drawing: cut(answer, held, nearest, state.settings), stale: true };
}

/** @param {Answer} answer @param {Pick<Question, "settings" | "draws" | "watch">} question @returns {boolean} it is the server's word on it */
function answers(answer, { settings, draws, watch }) {
  const enough = answer.topK >= settings.topK || answer.candidates.length >= answer.vocabSize;
  const same = /** @type {const} */ (["temperature", "topP", "minP"]).every((name) => answer[name] === settings[name]);
  const seen = watch.every((id) => [...answer.candidates, ...answer.watched].some(({ token }) => token.id === id));
  return enough && same && seen && draws.every((draw, at) => answer.draws[at] === draw);
}
