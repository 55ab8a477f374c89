/**
 * Asks how two distributions differ, and how likely a text is to a model.
 *
 * @typedef {import("../core/slices_later.js").Compared} Compared
 * @typedef {import("../core/slices_later.js").ComparedPlace} Place
 * @typedef {import("../core/slices_later.js").ComparedRow} Row
 * @typedef {import("../core/slices_later.js").ScoredToken} ScoredToken
 *
 * @typedef {object} Side
 * @property {string} model
 * @property {string | null} text  or
 * @property {readonly number[] | null} tokenIds
 * @property {boolean} [literal]  names of special tokens in `text` are plain characters
 * @property {number} temperature
 * @property {number} topP
 * @property {number} minP
 * @property {import("../core/slices_later.js").Chain} [chain]
 */
import { samplingOf } from "../core/chain.js";
import { call, read } from "./api.js";
import { BadAnswer, list, number, object, probability, readScores, readToken } from "./wire.js";

/**
 * @param {{key: string, a: Side, b: Side, topK: number}} question @param {AbortSignal} signal
 * @returns {Promise<Compared>} @throws {import("./api.js").CallFailed}
 */
export async function compare({ key, a, b, topK }, signal) {
  const json = await call("api/compare", { a: body(a), b: body(b), top_k: topK, include_prompt_tokens: true }, signal);
  return read(json, () => readComparison(json, { key, a, b }));
}

/** @param {Side} side */
function body({ model, text, tokenIds, literal, ...settings }) {
  return { ...(text !== null ? reading(text, literal) : { token_ids: tokenIds }), model, ...samplingOf(settings) };
}

/** @param {string} text @param {boolean} [literal] */
function reading(text, literal) {
  return { text, ...(literal && { special: "text" }) };
}

/**
 * @param {{model: string, text: string, literal: boolean}} asked @param {AbortSignal} signal
 * @returns {Promise<readonly ScoredToken[]>} @throws {import("./api.js").CallFailed}
 */
export async function scoreText({ model, text, literal }, signal) {
  const json = await call("api/score", { model, ...reading(text, literal) }, signal);
  return read(json, () => readScored(json, model));
}

/** @param {any} json @param {string} model that was asked @returns {ScoredToken[]} @throws {BadAnswer} */
export function readScored(json, model) {
  const tokens = list(json?.tokens, "tokens").map((each, at) => readToken(each, `tokens[${at}]`));
  const scores = readScores(json, { model, tokenIds: tokens.map(({ id }) => id) });
  return tokens.map((token, at) => ({ token, logprob: scores[at].logprob }));
}

/** @param {any} json @param {{key: string, a: {model: string}, b: {model: string}}} asked @returns {Compared} @throws {BadAnswer} */
export function readComparison(json, asked) {
  for (const side of /** @type {const} */ (["a", "b"])) {
    if (object(json?.[side], side).model !== asked[side].model) throw new BadAnswer(`${side}.model is ${JSON.stringify(json[side].model)}, not ${asked[side].model}`);
  }
  const rows = list(json.candidates, "candidates").map((row, at) => readRow(row, `candidates[${at}]`));
  const [gained, lost] = ["gained", "lost"].map((name) => list(json[name], name).slice(0, 1).map((row) => readRow(row, `${name}[0]`))[0] ?? null);
  return {
    key: asked.key,
    rows,
    gained,
    lost,
    kl: { ab: divergence(json.kl_a_b_bits, "kl_a_b_bits"), ba: divergence(json.kl_b_a_bits, "kl_b_a_bits") },
    js: probability(json.js_bits, "js_bits"),
    moved: probability(json.total_variation, "total_variation"),
    overlap: list(json.overlap, "overlap").map((both, at) => number(both, `overlap[${at}]`, 0)),
    unmatched: { a: probability(json.unmatched?.a, "unmatched.a"), b: probability(json.unmatched?.b, "unmatched.b") },
    byBytes: Boolean(json.matched_by_bytes),
    prompts: { a: readPrompt(json.a, "a"), b: readPrompt(json.b, "b") },
  };
}

/** @param {any} json @param {string} field @returns {Row} */
function readRow(json, field) {
  return { token: readToken(json, field), a: readPlace(json.a, `${field}.a`), b: readPlace(json.b, `${field}.b`) };
}

/** @param {any} json @param {string} field @returns {Place | null} */
function readPlace(json, field) {
  if (json === null) return null;
  return {
    id: number(json?.token_id, `${field}.token_id`, 0),
    rank: number(json.rank, `${field}.rank`, 1),
    probability: probability(json.probability, `${field}.probability`),
  };
}

/** @param {any} side @param {string} field @returns {import("../core/tokens.js").Token[]} */
function readPrompt(side, field) {
  const prompt = object(side.prompt, `${field}.prompt`);
  return list(prompt.tokens, `${field}.prompt.tokens`).map((token, at) => readToken(token, `${field}.prompt.tokens[${at}]`));
}

/** @param {unknown} value @param {string} field @returns {number} JSON has no infinity: it is null */
function divergence(value, field) {
  if (value === null) return Infinity;
  return Math.max(0, number(value, field, -1e-6));
}
