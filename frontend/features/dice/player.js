/**
 * Timing of the dice: shows the dart, then appends its token.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { dart, land } from "./model.js";

const SEEN_MS = 1100;

/**
 * @param {object} parts
 * @param {() => State} parts.read
 * @param {(transition: (state: State) => State) => void} parts.act
 * @returns {{consider: () => void}} call after every state change
 */
export function createPlayer({ read, act }) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {unknown} */
  let waiting = null;

  function consider() {
    const state = read();
    const fell = dart(state)?.candidate ?? null;
    if (fell === waiting) return;
    clearTimeout(timer);
    waiting = fell;
    if (fell) timer = setTimeout(() => act(land), state.play?.kind === "write" ? 1000 / state.dice.pace : SEEN_MS);
  }

  return { consider };
}
