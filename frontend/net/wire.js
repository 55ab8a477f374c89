/**
 * Parses the server's JSON, checking every field.
 *
 * @typedef {import("../core/tokens.js").Token} Token
 * @typedef {import("../core/distribution.js").Answer} Answer
 * @typedef {import("../core/slices.js").ModelState} ModelState
 * @typedef {import("../core/slices.js").Facts} Facts
 * @typedef {import("../core/slices.js").Model} Model
 */
import { fromBase64 } from "../core/base64.js";

/** The answer violates the API; the message names the field. */
export class BadAnswer extends Error {}

const LONGEST_REASON = 500; // characters
const MOST_BITS = 64; // log2 of a vocabulary is far less
const STATES = new Set(["queued", "downloading", "loading", "ready", "failed"]);

/**
 * @param {any} json @param {{model: string, text: string | null, temperature: number, topK: number, topP?: number, minP?: number, draws?: readonly number[], watch?: readonly number[], whole?: boolean}} asked
 * @returns {Answer}
 * @throws {BadAnswer}
 */
export function readAnswer(json, asked) {
  const prompt = object(json?.prompt, "prompt");
  const candidates = list(json.candidates, "candidates").slice(0, asked.topK);
  const draws = asked.draws ?? [];
  const watch = asked.watch ?? [];
  const drawn = list(json.drawn ?? [], "drawn");
  const watched = list(json.watched ?? [], "watched");
  if (drawn.length !== draws.length) throw new BadAnswer(`drawn holds ${drawn.length} tokens, not ${draws.length}`);
  if (watched.length !== watch.length || watch.some((id, at) => watched[at]?.token_id !== id)) throw new BadAnswer("watched is not what was asked for");
  if (json.model !== asked.model) throw new BadAnswer(`model is ${JSON.stringify(json.model)}, not ${asked.model}`);
  if ((asked.whole ?? asked.text !== null) && prompt.tokens?.length !== prompt.token_count) throw new BadAnswer("prompt.tokens is not whole");
  return {
    model: string(json.model, "model"),
    temperature: asked.temperature,
    topK: asked.topK,
    topP: asked.topP ?? 1,
    minP: asked.minP ?? 0,
    kept: {
      count: number(object(json.kept, "kept").count, "kept.count", 1),
      probability: probability(json.kept.probability, "kept.probability", Number.MIN_VALUE),
    },
    promptTokens: list(prompt.tokens ?? [], "prompt.tokens").map((token, at) => readToken(token, `prompt.tokens[${at}]`)),
    tokenCount: number(prompt.token_count, "prompt.token_count", 0),
    contextLimit: number(prompt.context_limit, "prompt.context_limit", 0),
    candidates: candidates.map((candidate, at) => readCandidate(candidate, `candidates[${at}]`, at + 1)),
    draws,
    drawn: drawn.map((candidate, at) => readCandidate(candidate, `drawn[${at}]`)),
    watched: watched.map((candidate, at) => readCandidate(candidate, `watched[${at}]`)),
    partition: list(json.partition ?? [], "partition").map((point, at) => readPoint(point, `partition[${at}]`, at && json.partition[at - 1].inverse_temperature)),
    atZero: json.partition_at_zero ? readPoint(json.partition_at_zero, "partition_at_zero", 0) : null,
    otherProbability: probability(json.other_probability, "other_probability"),
    entropyBits: bits(json.entropy_bits, "entropy_bits"),
    vocabSize: number(json.vocab_size, "vocab_size", 1),
  };
}

/** @param {any} json @param {string} field @param {number} least inverse temperature @returns {import("../core/distribution.js").Point} */
function readPoint(json, field, least) {
  return {
    b: number(json?.inverse_temperature, `${field}.inverse_temperature`, least),
    logSumExp: number(json.log_sum_exp, `${field}.log_sum_exp`),
    mean: number(json.mean_logit, `${field}.mean_logit`),
    variance: number(json.variance, `${field}.variance`, 0),
  };
}

/** @param {any} json @param {string} field @param {number} [place] its position in order of rank @returns {import("../core/distribution.js").Candidate} */
export function readCandidate(json, field, place) {
  const token = readToken(json, field);
  const rank = number(json.rank, `${field}.rank`, 1);
  if (place !== undefined && rank !== place) throw new BadAnswer(`${field}.rank is ${rank}`);
  const likely = probability(json.probability, `${field}.probability`);
  // JSON has no infinity: the logit of a masked token is null.
  const logit = json.logit === null && likely === 0 ? -Infinity : number(json.logit, `${field}.logit`);
  return { token, rank, logit, probability: likely };
}

/**
 * @param {any} json @param {{model: string, tokenIds: readonly number[]}} asked
 * @returns {import("../core/tree.js").Score[]} one per token
 * @throws {BadAnswer}
 */
export function readScores(json, { model, tokenIds }) {
  const tokens = list(json?.tokens, "tokens");
  if (json.model !== model) throw new BadAnswer(`model is ${JSON.stringify(json.model)}, not ${model}`);
  if (tokens.length !== tokenIds.length) throw new BadAnswer(`tokens holds ${tokens.length}, not ${tokenIds.length}`);
  return tokens.map((token, at) => {
    if (token?.token_id !== tokenIds[at]) throw new BadAnswer(`tokens[${at}].token_id is ${token?.token_id}, not ${tokenIds[at]}`);
    if (token.unconditioned) return { logprob: null, rank: null, entropy: null };
    return {
      // JSON has no infinity: the logprob of an impossible token is null.
      logprob: token.logprob === null ? -Infinity : number(token.logprob, `tokens[${at}].logprob`),
      rank: number(token.rank, `tokens[${at}].rank`, 1),
      entropy: bits(token.entropy_bits, `tokens[${at}].entropy_bits`),
    };
  });
}

/** @param {any} json @returns {Model[]} @throws {BadAnswer} */
export function readModels(json) {
  return list(json?.models, "models").map((model, at) => {
    const state = string(model?.state, `models[${at}].state`).toLowerCase();
    if (!STATES.has(state)) throw new BadAnswer(`models[${at}].state is "${state}"`);
    return {
      name: string(model.name, `models[${at}].name`),
      state: /** @type {ModelState} */ (state),
      isDefault: Boolean(model.is_default),
      bytesDone: number(model.bytes_done ?? 0, `models[${at}].bytes_done`, 0),
      bytesTotal: number(model.bytes_total ?? 0, `models[${at}].bytes_total`, 0),
      reason: inWords(string(model.reason ?? "", `models[${at}].reason`)),
      facts: model.facts ? readFacts(model.facts, `models[${at}].facts`) : null,
    };
  });
}

/** @param {string} reason @returns {string} truncated for display */
export function inWords(reason) {
  return reason.slice(0, LONGEST_REASON).toWellFormed();
}

/** @param {any} json @param {string} field @returns {Facts} */
function readFacts(json, field) {
  return {
    parameters: number(json.parameters, `${field}.parameters`, 0),
    device: string(json.device, `${field}.device`),
    dtype: string(json.dtype, `${field}.dtype`),
    vocabSize: number(json.vocab_size, `${field}.vocab_size`, 0),
    contextLimit: number(json.context_limit, `${field}.context_limit`, 0),
    endOfTextIds: ids(json.end_of_text_ids, `${field}.end_of_text_ids`),
    prefixTokenIds: ids(json.prefix_token_ids, `${field}.prefix_token_ids`),
    chatRefusal: inWords(string(json.chat_refusal ?? "", `${field}.chat_refusal`)),
    refusals: {
      layers: inWords(string(json.layers_refusal ?? "", `${field}.layers_refusal`)),
      contrast: inWords(string(json.contrast_refusal ?? "", `${field}.contrast_refusal`)),
      attention: inWords(string(json.attention_refusal ?? "", `${field}.attention_refusal`)),
    },
    format: inWords(string(json.format ?? "", `${field}.format`)),
    note: inWords(string(json.note ?? "", `${field}.note`)),
  };
}

/** @param {unknown} json @param {string} field @returns {number[]} */
function ids(json, field) {
  return list(json ?? [], field).map((id, at) => number(id, `${field}[${at}]`, 0));
}

/** @param {any} json @param {string} field @returns {Token} */
export function readToken(json, field) {
  return {
    id: number(json?.token_id, `${field}.token_id`, 0),
    bytes: bytes(json.bytes, `${field}.bytes`),
    special: Boolean(json.is_special),
  };
}

/** @param {unknown} value @param {string} field @returns {Uint8Array} */
function bytes(value, field) {
  const text = string(value, field);
  try {
    return fromBase64(text);
  } catch {
    throw new BadAnswer(`${field} is not base64`);
  }
}

/** @param {unknown} value @param {string} field @returns {any} */
export function object(value, field) {
  if (typeof value !== "object" || value === null) throw new BadAnswer(`${field} is missing`);
  return value;
}

/** @param {unknown} value @param {string} field @returns {any[]} */
export function list(value, field) {
  if (!Array.isArray(value)) throw new BadAnswer(`${field} is not a list`);
  return value;
}

/** @param {unknown} value @param {string} field @returns {string} */
export function string(value, field) {
  if (typeof value !== "string") throw new BadAnswer(`${field} is not a text`);
  return value;
}

/** @param {unknown} value @param {string} field @param {number} [least] @returns {number} */
export function number(value, field, least = -Infinity) {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new BadAnswer(`${field} is not a number`);
  if (value < least) throw new BadAnswer(`${field} is ${value}`);
  return value;
}

/** @param {unknown} value @param {string} field @param {number} [least] @returns {number} */
export function probability(value, field, least = -1e-6) {
  const read = number(value, field);
  if (read < least || read > 1 + 1e-6) throw new BadAnswer(`${field} is ${read}, not a probability`);
  return Math.min(1, Math.max(0, read));
}

/** @param {unknown} value @param {string} field @returns {number} an entropy */
export function bits(value, field) {
  const read = number(value, field, -1e-6);
  if (read > MOST_BITS) throw new BadAnswer(`${field} is ${read}`);
  return Math.max(0, read);
}
