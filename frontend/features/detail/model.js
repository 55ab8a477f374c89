/**
 * The details of a token, for its card. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tree.js").Node} Node
 */
import * as format from "../../core/format.js";
import { hex, noToken } from "../../core/tokens.js";
import { DETAIL, NONE } from "../../core/words.js";
import { surprise } from "../scores/model.js";

const MOST_BYTES = 16;

/** @param {State} state @param {Node} node with a token @returns {[string, string][]} labels and values */
export function detail({ shading }, { token, score, probability, rank }) {
  const { id, bytes, special } = /** @type {import("../../core/tokens.js").Token} */ (token);
  const kind = noToken(/** @type {import("../../core/tokens.js").Token} */ (token)) ? NONE.kind : "special token, no text";
  const shown = `${hex(bytes.subarray(0, MOST_BYTES))}${bytes.length > MOST_BYTES ? ` … ${format.count(bytes.length)} in all` : ""}`;
  /** @type {[string, string][]} */
  const found = [["id", String(id)], special ? ["kind", kind] : ["bytes", shown || "none"]];
  if (score?.logprob === null) return [...found, [DETAIL.probability, DETAIL.first]];
  if (score) {
    found.push(["probability", format.percent(Math.exp(score.logprob))], ["rank", format.count(Number(score.rank))]);
    const bits = Number(surprise(score));
    return [...found, [DETAIL.surprise, bits === Infinity ? DETAIL.infinite : format.bits(bits)], [DETAIL.entropy, format.bits(Number(score.entropy))]];
  }
  if (probability !== null) found.push(["probability", format.percent(probability)]);
  if (rank !== null) found.push(["rank", format.count(rank)]);
  if (shading.trouble) found.push(["more", shading.trouble.message]);
  else if (shading.curious) found.push(probability === null ? [DETAIL.probability, DETAIL.waiting] : [DETAIL.entropy, DETAIL.waiting]);
  return found;
}
