/**
 * What is known of the tokens of the text, and of the text as a whole, in words. Pure.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./tree.js").Node} Node
 */
import * as format from "./format.js";
import { STEPS, surprise } from "./scores.js";
import { hex, noToken } from "./tokens.js";

const MOST_BYTES = 16;
const THIN = "\u202f";

/** @param {State} state @param {Node} node with a token @returns {[string, string][]} names and values */
export function detail({ shading }, { token, score, probability, rank }) {
  const { id, bytes, special } = /** @type {import("./tokens.js").Token} */ (token);
  const kind = noToken(/** @type {import("./tokens.js").Token} */ (token)) ? "no token: the tokenizer has none of this id" : "special token, no text";
  const shown = `${hex(bytes.subarray(0, MOST_BYTES))}${bytes.length > MOST_BYTES ? ` … ${format.count(bytes.length)} in all` : ""}`;
  /** @type {[string, string][]} */
  const found = [["id", String(id)], special ? ["kind", kind] : ["bytes", shown || "none"]];
  if (score?.logprob === null) return [...found, ["probability", "none: nothing stands before it"]];
  if (score) {
    found.push(["probability", format.percent(Math.exp(score.logprob))], ["rank", format.count(Number(score.rank))]);
    const bits = Number(surprise(score));
    return [...found, ["surprise", bits === Infinity ? "boundless" : format.bits(bits)], ["entropy here", format.bits(Number(score.entropy))]];
  }
  if (probability !== null) found.push(["probability", format.percent(probability)]);
  if (rank !== null) found.push(["rank", format.count(rank)]);
  if (shading.trouble) found.push(["more", shading.trouble.message]);
  else if (shading.curious) found.push(probability === null ? ["probability", "asking…"] : ["entropy here", "asking…"]);
  return found;
}

/** @param {import("./scores.js").Totals} totals @returns {string} one sentence or two */
export function totalsWords({ count, logprob, perplexity, bitsPerByte }) {
  if (!count) return "Nothing stands before the only token, so there is nothing to be surprised at.";
  const tokens = count === 1 ? "1 token" : `${format.count(count)} tokens`;
  if (logprob === -Infinity) return `One of ${tokens} was impossible for the model: its log-probability is −∞.`;
  const total = `log-probability ${format.signed(logprob)}`;
  const choices = perplexity < 10 ? perplexity.toFixed(1) : format.count(perplexity);
  const bytes = bitsPerByte ? `; ${bitsPerByte.toFixed(2)} bits per byte` : "";
  return `${tokens}: ${total}; perplexity ${choices}, as if each were one of ${choices} equally likely${bytes}.`;
}

/** @param {"surprise" | "entropy"} by @returns {string[]} the range of each level, from the lowest */
export function levelWords(by) {
  const steps = STEPS[by];
  const between = steps.slice(1).map((step, at) => `${steps[at]}–${step}`);
  return [`under ${steps[0]}`, ...between, `${steps[steps.length - 1]}${THIN}+ bits`];
}
