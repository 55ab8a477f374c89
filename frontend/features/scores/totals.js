/**
 * The scores of the whole text together, and the legend of its highlight. Pure.
 *
 * @typedef {import("../../core/tree.js").Node} Node
 *
 * @typedef {object} Totals  over the conditioned tokens
 * @property {number} count
 * @property {number} logprob  in nats
 * @property {number} perplexity
 * @property {number} bitsPerByte  over the bytes of their text
 */
import * as format from "../../core/format.js";
import { SCORES } from "../../core/words_later.js";
import { STEPS } from "./model.js";

/** @param {readonly Node[]} nodes the whole text @returns {Totals | null} null while a score is missing */
export function totals(nodes) {
  if (!nodes.length || nodes.some((node) => !node.score)) return null;
  const counted = nodes.filter((node) => node.score?.logprob !== null);
  const logprob = counted.reduce((sum, node) => sum + Number(node.score?.logprob), 0);
  const bytes = counted.reduce((sum, { token }) => sum + (token && !token.special ? token.bytes.length : 0), 0);
  const perplexity = counted.length ? Math.exp(-logprob / counted.length) : 1;
  return { count: counted.length, logprob, perplexity, bitsPerByte: bytes ? -logprob / Math.LN2 / bytes : 0 };
}

/** @param {Totals} totals @returns {string} one sentence or two */
export function totalsWords({ count, logprob, perplexity, bitsPerByte }) {
  if (!count) return SCORES.only;
  if (logprob === -Infinity) return SCORES.impossible(count);
  const choices = perplexity < 10 ? perplexity.toFixed(1) : format.count(perplexity);
  return SCORES.totals(count, logprob, choices, bitsPerByte ? bitsPerByte.toFixed(2) : "");
}

/** @param {"surprise" | "entropy"} by @returns {string[]} the range of each level, from the lowest */
export function levelWords(by) {
  const steps = STEPS[by];
  const between = steps.slice(1).map((step, at) => `${steps[at]}–${step}`);
  return [`under ${steps[0]}`, ...between, `${steps[steps.length - 1]}+ bits`];
}
