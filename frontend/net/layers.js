/**
 * Asks how a prediction forms from layer to layer.
 *
 * @typedef {import("../core/slices_later.js").LayersAnswer} LayersAnswer
 * @typedef {import("../core/slices_later.js").LayerPart} LayerPart
 *
 * @typedef {object} Question
 * @property {string} key
 * @property {string} text  key of model and token ids
 * @property {string} model
 * @property {readonly number[]} tokenIds
 * @property {number} temperature
 * @property {number} topK
 * @property {readonly number[]} watch
 * @property {readonly [number, number] | null} contrast
 * @property {boolean} attention
 */
import { call, read } from "./api.js";
import { BadAnswer, bits, list, number, object, readCandidate } from "./wire.js";

const PARTS = new Set(["embedding", "attention", "mlp", "bias", "unknown"]);

/** @param {Question} question @param {AbortSignal} signal @returns {Promise<LayersAnswer>} @throws {import("./api.js").CallFailed} */
export async function layers(question, signal) {
  const { model, tokenIds, temperature, topK, watch, contrast, attention } = question;
  const body = {
    model,
    token_ids: tokenIds,
    temperature,
    top_k: topK,
    ...(watch.length && { watch_token_ids: watch }),
    ...(contrast && { contrast }),
    ...(attention && { include_attention: true }),
  };
  const json = await call("api/layers", body, signal);
  return read(json, () => readLayers(json, question));
}

/** @param {any} json @param {Question} asked @returns {LayersAnswer} @throws {BadAnswer} */
export function readLayers(json, asked) {
  if (json?.model !== asked.model) throw new BadAnswer(`model is ${JSON.stringify(json?.model)}, not ${asked.model}`);
  const said = list(json.layers, "layers").map((layer, at) => readLayer(layer, `layers[${at}]`, asked.watch));
  if (said.length < 2) throw new BadAnswer(`layers holds ${said.length}`);
  const commitment = object(json.commitment, "commitment");
  const place = (/** @type {"top1_layer" | "top3_layer" | "half_layer"} */ name) => {
    const found = number(commitment[name], `commitment.${name}`, 0);
    if (found >= said.length) throw new BadAnswer(`commitment.${name} is ${found}`);
    return found;
  };
  return {
    text: asked.text,
    model: asked.model,
    temperature: asked.temperature,
    topK: asked.topK,
    layers: said,
    commitment: { top1: place("top1_layer"), top3: place("top3_layer"), half: commitment.half_layer === null ? null : place("half_layer") },
    contrast: asked.contrast,
    parts: list(json.contributions ?? [], "contributions").map((part, at) => readPart(part, `contributions[${at}]`, said.length)),
    difference: asked.contrast ? number(json.logit_difference, "logit_difference") : 0,
    beforeCap: Boolean(json.before_soft_cap),
    attention: asked.attention ? list(json.attention, "attention").map((heads, at) => readHeads(heads, `attention[${at}]`, asked.tokenIds.length)) : [],
  };
}

/** @param {any} json @param {string} field @param {readonly number[]} watch @returns {import("../core/slices_later.js").LayerSaid} */
function readLayer(json, field, watch) {
  const watched = list(json?.watched ?? [], `${field}.watched`).map((each, at) => readCandidate(each, `${field}.watched[${at}]`));
  if (watched.length !== watch.length || watch.some((id, at) => watched[at].token.id !== id)) throw new BadAnswer(`${field}.watched is not what was asked for`);
  return {
    candidates: list(json.candidates, `${field}.candidates`).map((each, at) => readCandidate(each, `${field}.candidates[${at}]`, at + 1)),
    watched,
    entropyBits: bits(json.entropy_bits, `${field}.entropy_bits`),
    // JSON has no infinity: it is null.
    klBits: json.kl_to_final_bits === null ? Infinity : Math.max(0, number(json.kl_to_final_bits, `${field}.kl_to_final_bits`)),
  };
}

/** @param {any} json @param {string} field @param {number} count of layers @returns {LayerPart} */
function readPart(json, field, count) {
  const layer = number(json?.layer, `${field}.layer`, 0);
  if (layer >= count) throw new BadAnswer(`${field}.layer is ${layer}`);
  return { layer, part: PARTS.has(json.part) ? json.part : "unknown", change: number(json.logit_difference, `${field}.logit_difference`) };
}

/** @param {any} json @param {string} field @param {number} count of tokens @returns {number[][]} */
function readHeads(json, field, count) {
  return list(json, field).map((weights, head) => {
    const read = list(weights, `${field}[${head}]`).map((weight, at) => number(weight, `${field}[${head}][${at}]`, -1e-6));
    if (read.length !== count) throw new BadAnswer(`${field}[${head}] holds ${read.length} weights, not ${count}`);
    return read;
  });
}
