/**
 * What is said of one text under two models. Pure.
 *
 * @typedef {import("./pairs.js").Pair} Pair
 */
import * as format from "../../core/format.js";
import { SCORED } from "../../core/words_later.js";
import { sum, total } from "./pairs.js";

const STEPS = [0.1, 0.5, 1.5, 4]; // bits
const [SLIGHT, LARGE] = [Math.log2(1.1), 20]; // bits
const EXPONENTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** @param {number} value @returns {string} with its sign, such as "+1.2"; "±0" only if nothing differs */
export function bits(value) {
  const size = Math.abs(value);
  if (size < 0.05) return size > 1e-4 ? "≈0" : "±0";
  return `${value < 0 ? "−" : "+"}${size === Infinity ? "∞" : size < 99.95 ? size.toFixed(1) : format.count(size)}`;
}

/** @param {number} value in bits @returns {number} from 0 to 4 */
export function strength(value) {
  return STEPS.filter((step) => Math.abs(value) >= step).length;
}

/** @param {ReturnType<typeof total>} all @returns {string} one sentence or two */
export function told({ bits: value, count, left }) {
  const list = /** @type {const} */ (["first", "special", "text"]).flatMap((why) => (left[why] ? [SCORED.left[why](left[why])] : []));
  return [count ? ratio(value) : SCORED.none, list.length ? SCORED.uncounted(list.join(", ")) : ""].filter(Boolean).join(" ");
}

/** @param {Pair} pair @param {readonly {spoken: string}[]} pieces of its text @returns {string} for screen readers */
export function pairWords({ a, b, bits: value, why }, pieces) {
  const words = pieces.map((piece) => piece.spoken).join(" ");
  if (value === null) return `${words}: ${SCORED.why[why ?? "text"]}`;
  const size = bits(value).replace(/^[+−]/, "");
  const difference = size === "±0" || size === "≈0" ? SCORED.same : SCORED.more(size === "∞" ? "infinitely many" : size, value < 0);
  return SCORED.pair(words, difference, format.percentOf(sum(a)), format.percentOf(sum(b)));
}

/** @param {number} value in bits @returns {string} */
function ratio(value) {
  const [size, less, shown] = [Math.abs(value), value < 0, bits(value)];
  if (size < 0.005) return SCORED.equal;
  if (size === Infinity) return SCORED.impossible(less);
  if (size < SLIGHT) return SCORED.slightly(less, shown === "≈0" ? `${less ? "−" : "+"}${size.toFixed(2)}` : shown);
  return SCORED.times(factor(size), less, shown);
}

/** @param {number} size in bits @returns {string} such as "1.3", "40" or "about 10⁹" */
function factor(size) {
  if (size > LARGE) return `about 10${String(Math.round(size * Math.log10(2))).replace(/\d/g, (digit) => EXPONENTS[Number(digit)])}`;
  return 2 ** size < 10 ? (2 ** size).toFixed(1) : format.count(Number((2 ** size).toPrecision(2)));
}
