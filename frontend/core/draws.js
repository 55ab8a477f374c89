/**
 * Random numbers for sampling. The same seed and text give the same numbers, so every roll can be repeated. Pure.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./settings.js").Dice} Dice
 */
import { fitDice } from "./settings.js";
import * as tree from "./tree.js";

export const ROLLS = 100;
const GOLDEN = 0x9e3779b9;

/** @param {number} seed @returns {() => number} uniform in [0, 1), with 53 bits */
export function numbers(seed) {
  let at = seed >>> 0;
  const word = () => {
    at = (at + GOLDEN) >>> 0;
    let mixed = at;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  return () => ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53;
}

/** @param {State} state @returns {number[]} the numbers for the current draw; the first equals that of a single roll */
export function draws({ play, dice, tree: all, current, draft }) {
  if (!play || current === null || draft !== null) return [];
  const depth = tree.path(all, current).length;
  const next = numbers(Math.imul(dice.seed ^ (dice.seed >>> 15), 0x2c1b3c6d) + Math.imul(depth, GOLDEN));
  return Array.from({ length: play.kind === "tally" ? ROLLS : 1 }, next);
}

/** @param {State} state @param {Partial<Dice>} changes @returns {State} */
export function setDice(state, changes) {
  if (!fitDice(changes)) return state;
  const seeded = changes.seed !== undefined && changes.seed !== state.dice.seed;
  const play = seeded ? null : state.play;
  return { ...state, dice: { ...state.dice, ...changes }, play };
}
