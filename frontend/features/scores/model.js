/**
 * The probability of each token of the text: known for picked tokens, requested for typed ones. Scores are stored in the
 * tree's nodes, so they can't be shown for another text. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Trouble} Trouble
 * @typedef {import("../../core/tree.js").Node} Node
 * @typedef {import("../../core/tree.js").Score} Score
 * @typedef {import("../../core/slices.js").Shade} Shade
 * @typedef {import("../../core/slices.js").Shading} Shading
 *
 * @typedef {object} Asked
 * @property {string} key  equal for equal texts
 * @property {string} model
 * @property {number[]} tokenIds
 */
import { wanted } from "../../core/questions.js";
import { ending } from "../../core/state.js";
import * as tree from "../../core/tree.js";

export const SHADES = /** @type {const} */ (["none", "surprise", "entropy"]);
/** Thresholds between levels, in bits. */
export const STEPS = { surprise: [1, 3, 6, 10], entropy: [0.5, 2, 4, 6] };

/** @param {State} state @param {Partial<Shading>} changes @returns {State} */
export function shade(state, changes) {
  return { ...state, shading: { ...state.shading, trouble: null, ...changes } };
}

/** @param {State} state @param {boolean} curious @returns {State} */
export function inspect(state, curious) {
  return state.shading.curious === curious ? state : shade(state, { curious });
}

/** @param {State} state @returns {Node[]} the tokens of the text */
export function textNodes(state) {
  const end = ending(state);
  return end === null ? [] : tree.path(state.tree, end);
}

/** @param {State} state @returns {Asked | null} the text to score, or null */
export function wantedScores(state) {
  const { shading, lost, models } = state;
  const idle = !shading.curious && shading.by === "none";
  if (idle || lost !== null || state.dragging || state.draft !== null || state.play?.kind === "write" || wanted(state)) return null;
  const nodes = textNodes(state);
  if (nodes.every((node) => node.score)) return null;
  const [{ model }] = nodes;
  const asked = { key: "", model, tokenIds: tree.tokens(nodes).map((token) => token.id) };
  asked.key = JSON.stringify(["score", model, asked.tokenIds]);
  const ready = models?.find((each) => each.name === model)?.state === "ready";
  return ready && shading.trouble?.key !== asked.key ? asked : null;
}

/** @param {State} state @param {Asked} asked @param {readonly Score[]} scores one per token @returns {State} */
export function receiveScores(state, { model, tokenIds }, scores) {
  const nodes = new Map(state.tree.nodes);
  let at = [...nodes.values()].find((node) => node.parent === null && node.model === model);
  for (let index = 0; at && index < tokenIds.length; index++) {
    at = at.children.map((id) => /** @type {Node} */ (nodes.get(id))).find((node) => node.token?.id === tokenIds[index]);
    if (at) nodes.set(at.id, (at = { ...at, score: scores[index] }));
  }
  return { ...state, tree: { ...state.tree, nodes }, shading: { ...state.shading, trouble: null } };
}

/** @param {State} state @param {Trouble} trouble @returns {State} */
export function failScores(state, trouble) {
  return { ...state, shading: { ...state.shading, trouble } };
}

/** @param {State} state @returns {State} with the failed request to be retried */
export function retryScores(state) {
  return state.shading.trouble ? shade(state, {}) : state;
}

/** @param {Score} score @returns {number | null} −log₂ of the probability; null for a first token without BOS */
export function surprise({ logprob }) {
  return logprob === null ? null : Math.max(0, -logprob / Math.LN2);
}

/**
 * @param {readonly Node[]} nodes of one chip @param {Shade} by
 * @returns {number | null} bits: the sum for surprise, the maximum for entropy; null if unknown
 */
export function bitsOf(nodes, by) {
  if (by === "none") return null;
  const bits = nodes.map(({ score }) => score && (by === "surprise" ? surprise(score) : score.entropy));
  if (bits.some((each) => each === null)) return null;
  const known = /** @type {number[]} */ (bits);
  return by === "surprise" ? known.reduce((sum, each) => sum + each, 0) : Math.max(...known);
}

/** @param {number | null} bits @param {Shade} by @returns {number | null} from 0 (expected) to 4 */
export function level(bits, by) {
  return bits === null || by === "none" ? null : STEPS[by].filter((step) => bits >= step).length;
}
