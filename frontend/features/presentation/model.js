/**
 * Presenting, guess first and single-key shortcuts. Pure transitions.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { stage } from "../../core/frame.js";
import { hidden } from "../../core/questions.js";

/** @param {State} state @param {boolean} on @returns {State} */
export function present(state, on) {
  return state.room.presenting === on ? state : stage({ ...state, room: { ...state.room, presenting: on } }, on);
}

/** @param {State} state @param {boolean} keys @returns {State} */
export function setKeys(state, keys) {
  return { ...state, room: { ...state.room, keys } };
}

/** @param {State} state @param {boolean} on @returns {State} with bars hidden until revealed */
export function guess(state, on) {
  return state.room.guessing === on ? state : { ...state, room: { ...state.room, guessing: on, seen: null } };
}

/** @param {State} state @returns {State} with the current bars revealed; the next ones are hidden again */
export function reveal(state) {
  return hidden(state) && state.draft === null ? { ...state, room: { ...state.room, seen: state.current } } : state;
}
