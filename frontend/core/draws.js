/**
 * Random numbers for sampling. The same seed and text give the same numbers, so every roll can be repeated. Pure.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./settings.js").Dice} Dice
 */
import { fitDice } from "./settings.js";
import * as tree from "./tree.js";

export const ROLLS = 100;
const MASK = 2n ** 64n - 1n;
/** @type {{of: string, numbers: number[]}} the latest: every change of the page asks for it */
let latest = { of: "", numbers: [] };

/**
 * The number that draws the token at a position of a generated continuation, as the server's contract defines it, so that
 * rolling and generating with one seed give the same text: Philox4x64-10.
 * @param {number} seed @param {number} index of the continuation @param {number} position @param {bigint} [purpose] 1n: XTC’s coin
 * @returns {number} in [0, 1), with 53 bits
 */
export function uniform(seed, index, position, purpose = 0n) {
  let [a, b, c, d] = [BigInt(position) + 1n, BigInt(index), purpose, 0n];
  let [one, other] = [BigInt(seed), 0n];
  for (let round = 0; round < 10; round++) {
    const [left, right] = [a * 0xd2e7470ee14c6c93n, c * 0xca5a826395121157n];
    [a, b, c, d] = [(right >> 64n) ^ b ^ one, right & MASK, (left >> 64n) ^ d ^ other, left & MASK];
    [one, other] = [(one + 0x9e3779b97f4a7c15n) & MASK, (other + 0xbb67ae8584caa73bn) & MASK];
  }
  return Number(a >> 11n) / 2 ** 53;
}

/** @param {State} state @returns {number[]} the numbers for the current draw; the first equals that of a single roll */
export function draws({ play, dice, tree: all, current, draft }) {
  if (!play || current === null || draft !== null) return [];
  const depth = tree.path(all, current).length;
  const count = play.kind === "tally" ? ROLLS : 1;
  const of = `${dice.seed} ${depth} ${count}`;
  if (latest.of !== of) latest = { of, numbers: Array.from({ length: count }, (_, index) => uniform(dice.seed, index, depth)) };
  return latest.numbers;
}

/** @param {State} state @returns {number | undefined} what decides whether XTC acts on the token drawn now; undefined: nothing is drawn, or many are, or without XTC */
export function coin({ play, dice, tree: all, current, draft, settings }) {
  if (!play || play.kind === "tally" || current === null || draft !== null) return undefined;
  const tossed = settings.chain?.some(({ name, on }) => name === "xtc" && on);
  return tossed ? uniform(dice.seed, 0, tree.path(all, current).length, 1n) : undefined;
}

/** @param {State} state @param {Partial<Dice>} changes @returns {State} */
export function setDice(state, changes) {
  if (!fitDice(changes)) return state;
  const seeded = changes.seed !== undefined && changes.seed !== state.dice.seed;
  const play = seeded ? null : state.play;
  return { ...state, dice: { ...state.dice, ...changes }, play };
}
