/**
 * How the bars are drawn: which number stands beside each, and on which scale its length is. Pure.
 *
 * @typedef {import("./state.js").State} State
 *
 * @typedef {object} Display
 * @property {"percent" | "logprob" | "logit"} column
 * @property {"linear" | "log"} scale  log: a sixth of the track for each tenfold, from 0.0001 % to 100 %
 */
import * as format from "./format.js";

/** @type {Display} */
export const FIRST_DISPLAY = { column: "percent", scale: "linear" };
/** @type {Record<keyof Display, readonly string[]>} */
const CHOICES = { column: ["percent", "logprob", "logit"], scale: ["linear", "log"] };
export const DECADES = 6;

/** @param {any} kept @returns {Display} with what is known of it; the first choice for what is not */
export function readDisplay(kept) {
  const names = /** @type {(keyof Display)[]} */ (Object.keys(CHOICES));
  const good = names.filter((name) => CHOICES[name].includes(kept?.[name]));
  return { ...FIRST_DISPLAY, ...Object.fromEntries(good.map((name) => [name, kept[name]])) };
}

/** @param {State} state @param {Partial<Display>} changes @returns {State} */
export function setDisplay(state, changes) {
  return { ...state, display: readDisplay({ ...state.display, ...changes }) };
}

/** @param {number} share @param {Display["scale"]} scale @returns {number} of the whole track, in [0, 1] */
export function lengthOf(share, scale) {
  if (scale === "linear") return share;
  return share > 0 ? Math.max(0, Math.min(1, 1 + Math.log10(share) / DECADES)) : 0;
}

/**
 * The number beside a bar.
 * @param {{share: number, candidate?: {logit: number}}} row without a candidate: many tokens together, which have no logit
 * @param {Display["column"]} column
 * @returns {string}
 */
export function figure({ share, candidate }, column) {
  if (column === "percent") return format.percent(share);
  if (column === "logprob") return format.signed(Math.log(share));
  return candidate ? format.signed(candidate.logit) : "";
}

/** @returns {{at: number, words: string}[]} the marks of the logarithmic scale, from its left to its right */
export function ticks() {
  return Array.from({ length: DECADES + 1 }, (_, at) => ({ at: at / DECADES, words: format.round(10 ** (at - DECADES)) }));
}
