/**
 * The guided tour on the current text: where it is. What each stop says is in `stops.js`. Loaded once the tour begins. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices.js").Tour} Tour
 */
import { FIRST_TEXT, goTo, textHere, undoStep } from "../../core/state.js";
import { begin as start } from "../examples/begin.js";
import { guess, present } from "../presentation/model.js";
import { leave } from "./model.js";

export const LENGTH = 6;

/** @param {State} state @returns {State} with the tour started and everything visible */
export function begin(state) {
  return reach(guess(present(state, false), false), 0);
}

/** @param {State} state @param {number} by @returns {State} one stop forward or back; ends after the last */
export function walk(state, by) {
  if (state.room.tour.at === null) return state;
  const to = state.room.tour.at + by;
  return to >= LENGTH ? end(state) : reach(state, Math.max(0, to));
}

/** @param {State} state @returns {State} on a fresh text; the reader's comes back with the end of the tour */
export function refresh(state) {
  const { tour } = state.room;
  if (tour.at === null || !own(state)) return state;
  const mine = undoStep(state);
  return reach(set(start(state, FIRST_TEXT), { ...tour, own: mine }), tour.at);
}

/** @param {State} state @returns {State} with the tour ended or declined, and the reader's own text back */
export function end(state) {
  const mine = state.room.tour.own;
  const ended = leave(state);
  if (mine === null) return ended;
  if (typeof mine !== "number") return start(ended, mine.text);
  return ended.tree.nodes.has(mine) ? goTo(ended, mine) : ended;
}

/** @param {State} state @param {number} at @returns {State} */
function reach(state, at) {
  const mark = { current: state.current, temperature: state.settings.temperature };
  return set(state, { ...state.room.tour, at, offered: false, mark });
}

/** @param {State} state @returns {boolean} the text is the reader's, not the first or the tour's */
export function own(state) {
  const text = state.draft ?? textHere(state);
  return state.room.tour.own === null && text !== "" && text !== FIRST_TEXT;
}

/** @param {State} state @param {Tour} tour @returns {State} */
function set(state, tour) {
  return { ...state, room: { ...state.room, tour } };
}
