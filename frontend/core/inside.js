/**
 * The bars of an earlier layer in the place of the answer's. Pure.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./questions.js").Scene} Scene
 */
import { cut } from "./cuts.js";
import { redraw } from "./distribution.js";
import { showing } from "./frame.js";
import { answerHere, scene } from "./questions.js";
import { answerKey, append, goTo } from "./state.js";
import { noToken } from "./tokens.js";
import * as tree from "./tree.js";

/** @param {State} state @returns {number | null} the layer whose bars the chart shows; null: the answer's */
export function layerHere(state) {
  const { chosen, answer } = state.layering;
  if (chosen === null || answer === null || chosen.at !== state.current || state.draft !== null || !showing(state, "layers")) return null;
  const { model } = tree.node(state.tree, chosen.at);
  const own = answer.text === answerKey(model, tree.tokenIds(state.tree, chosen.at));
  return own && chosen.layer < answer.layers.length - 1 ? chosen.layer : null;
}

/** @param {State} state @returns {Scene | null} what the chart shows: the answer, or what an earlier layer says */
export function shownScene(state) {
  const now = scene(state);
  const layer = now && layerHere(state);
  const { answer } = state.layering;
  const here = answerHere(state);
  if (layer === null || answer === null || here === null) return now;
  const { candidates, watched, entropyBits } = answer.layers[layer];
  const sum = candidates.reduce((total, { probability }) => total + probability, 0);
  /** @type {Answer} */
  const said = {
    ...here,
    temperature: answer.temperature,
    topK: answer.topK,
    topP: NaN, // the server counted nothing: the page does
    candidates: [...candidates],
    watched: [...watched],
    draws: [],
    drawn: [],
    partition: [],
    atZero: null,
    sampling: null,
    otherProbability: Math.max(0, 1 - sum),
    entropyBits,
  };
  // The answer's first token gets a bar, whatever its rank here.
  const winner = here.candidates[0]?.token.id;
  const also = [...candidates, ...watched].filter(({ token }) => token.id === winner).slice(0, 1);
  const drawing = redraw(said, answer.temperature, state.settings.topK, also);
  return drawing && { drawing: cut(said, drawing, answer.temperature, state.settings), stale: answer.temperature !== state.settings.temperature };
}

/** @param {State} state @returns {State} with the answer's bars */
export function leaveLayer(state) {
  return state.layering.chosen === null ? state : { ...state, layering: { ...state.layering, chosen: null } };
}

/** @param {State} state @param {import("./distribution.js").Row} row of the chart @returns {State} with its token appended, also one that only a layer shows */
export function appendRow(state, { candidate, raw }) {
  const here = answerHere(state);
  if (layerHere(state) === null || here === null || state.current === null) return append(state, candidate, Number.isNaN(raw) ? null : raw);
  const known = [...here.candidates, ...here.watched].find(({ token }) => token.id === candidate.token.id);
  if (known) return append(state, known, here.temperature === 1 ? known.probability : null);
  if (noToken(candidate.token)) return state;
  const [grown, id] = tree.extendAll(state.tree, state.current, [candidate.token]);
  return goTo({ ...state, tree: grown }, id);
}
