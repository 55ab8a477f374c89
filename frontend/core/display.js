/**
 * How bars are displayed: the number next to each, and the scale of their length. Pure.
 *
 * @typedef {import("./state.js").State} State
 *
 * @typedef {object} Display
 * @property {"percent" | "logprob" | "logit"} column
 * @property {"linear" | "log"} scale  log: a sixth of the track per factor of 10, from 0.0001 % to 100 %
 */
import * as format from "./format.js";

/** @type {Display} */
export const FIRST_DISPLAY = { column: "percent", scale: "linear" };
/** @type {Record<keyof Display, readonly string[]>} */
const CHOICES = { column: ["percent", "logprob", "logit"], scale: ["linear", "log"] };
export const DECADES = 6;

/** @param {any} saved @returns {Display} with defaults for whatever is missing or invalid */
export function readDisplay(saved) {
  const names = /** @type {(keyof Display)[]} */ (Object.keys(CHOICES));
  const good = names.filter((name) => CHOICES[name].includes(saved?.[name]));
  return { ...FIRST_DISPLAY, ...Object.fromEntries(good.map((name) => [name, saved[name]])) };
}

/** @param {State} state @param {Partial<Display>} changes @returns {State} */
export function setDisplay(state, changes) {
  return { ...state, display: readDisplay({ ...state.display, ...changes }) };
}

/** @param {number} share @param {Display["scale"]} scale @returns {number} the bar's length as a fraction of the track, in [0, 1] */
export function lengthOf(share, scale) {
  if (scale === "linear") return share;
  return share > 0 ? Math.max(0, Math.min(1, 1 + Math.log10(share) / DECADES)) : 0;
}

/**
 * The number next to a bar.
 * @param {{share: number, candidate?: {logit: number}}} row without a candidate: all other tokens, which have no logit
 * @param {Display["column"]} column
 * @returns {string}
 */
export function figure({ share, candidate }, column) {
  if (column === "percent") return format.percent(share);
  if (column === "logprob") return format.signed(Math.log(share));
  return candidate ? format.signed(candidate.logit) : "";
}

/** @returns {{at: number, words: string}[]} the ticks of the logarithmic scale, left to right */
export function ticks() {
  return Array.from({ length: DECADES + 1 }, (_, at) => ({ at: at / DECADES, words: format.round(10 ** (at - DECADES)) }));
}
