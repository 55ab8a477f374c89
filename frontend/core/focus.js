/**
 * The token that Why and Layers explain: that of the bar in focus. Pure.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./distribution.js").Candidate} Candidate
 */
import { layerHere } from "./inside.js";
import { scene } from "./questions.js";
import { drawnName, noToken } from "./tokens.js";

/** @param {State} state @returns {Candidate[]} the answer's bars; none while it is awaited or hidden */
export function barsHere(state) {
  const now = scene(state);
  return now && !now.stale ? now.drawing.rows.map(({ candidate }) => candidate) : [];
}

/** @param {State} state @returns {Candidate | null} of the answer's bars, or one that only the layer in view shows; the first one unless another was chosen */
export function focusHere(state) {
  const bars = barsHere(state);
  const { bar } = state.frame;
  const layer = layerHere(state);
  const inside = layer === null ? [] : (state.layering.answer?.layers[layer].candidates ?? []);
  return [...bars, ...inside].find(({ token }) => token.id === bar) ?? bars[0] ?? null;
}

/** @param {State} state @param {number | null} wish a token id @returns {Candidate | null} another one of the bars, if it is there */
export function wishedBar(state, wish) {
  const focus = focusHere(state)?.token.id;
  return wish === null || wish === focus ? null : (barsHere(state).find(({ token }) => token.id === wish) ?? null);
}

/** @param {readonly Candidate[]} candidates @returns {{value: string, words: string}[]} to choose from */
export function choices(candidates) {
  return candidates.map(({ token }) => ({ value: String(token.id), words: noToken(token) ? `id ${token.id}` : drawnName(token) }));
}
