/**
 * The offer of the guided tour; `walk.js` walks it. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 */

/** @param {State} state @returns {boolean} whether to offer the tour to a first visitor */
export function offer(state) {
  return state.room.tour.offered && state.room.tour.at === null && state.past.length < 3;
}

/** @param {State} state @returns {State} with the tour over or declined, on the text at hand */
export function leave(state) {
  const { at, offered } = state.room.tour;
  if (at === null && !offered) return state;
  return { ...state, room: { ...state.room, tour: { at: null, offered: false, mark: null, own: null } } };
}
