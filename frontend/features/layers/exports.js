/**
 * The layers as JSON and CSV, with the field names of the HTTP API. Pure.
 *
 * @typedef {import("../../core/slices_later.js").LayersAnswer} LayersAnswer
 * @typedef {import("../../core/distribution.js").Candidate} Candidate
 */
import { toBase64 } from "../../core/base64.js";
import { decode, hex } from "../../core/tokens.js";
import { cell } from "../share/snapshot.js";

/** @param {LayersAnswer} answer @returns {string} */
export function toJson({ text, model, temperature, layers, commitment, contrast, parts, difference, beforeCap, attention }) {
  const told = {
    model,
    token_ids: JSON.parse(text)[1],
    temperature,
    layers: layers.map(({ candidates, watched, entropyBits, klBits }, layer) => ({
      layer,
      candidates: candidates.map(candidateJson),
      watched: watched.map(candidateJson),
      entropy_bits: entropyBits,
      kl_to_final_bits: klBits === Infinity ? null : klBits,
    })),
    commitment: { top1_layer: commitment.top1, top3_layer: commitment.top3, half_layer: commitment.half },
    contrast,
    contributions: parts.map(({ layer, part, change }) => ({ layer, part, logit_difference: change })),
    logit_difference: contrast && difference,
    before_soft_cap: beforeCap,
    ...(attention.length && { attention }),
  };
  return `${JSON.stringify(told, null, 1)}\n`;
}

/** @param {Candidate} candidate */
function candidateJson({ token, rank, logit, probability }) {
  const numbers = { rank, logit: logit === -Infinity ? null : logit, probability };
  return { token_id: token.id, text: decode(token.bytes), bytes: toBase64(token.bytes), is_special: token.special, ...numbers };
}

const COLUMNS = ["layer", "rank", "token", "bytes", "token_id", "logit", "probability", "entropy_bits", "kl_to_final_bits"];

/** @param {LayersAnswer} answer @returns {string} CSV: a row per layer and token; bytes in hex */
export function toCsv({ layers }) {
  const lines = layers.flatMap(({ candidates, watched, entropyBits, klBits }, layer) => {
    const all = new Map([...candidates, ...watched].map((each) => [each.token.id, each]));
    const sorted = [...all.values()].sort((one, other) => one.rank - other.rank);
    return sorted.map(({ token, rank, logit, probability }) => [layer, rank, cell(decode(token.bytes) ?? ""), hex(token.bytes), token.id, logit, probability, entropyBits, klBits]);
  });
  return [COLUMNS, ...lines].map((row) => `${row.join(",")}\r\n`).join("");
}
