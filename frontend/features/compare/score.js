/**
 * How likely the whole text is under both models: what has to be asked, and what is known. Pure.
 *
 * A's probabilities are kept in the tree, like those of the highlight; B's are of the same tokens, or of the same text as its
 * own tokenizer reads it.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").ScoredToken} ScoredToken
 * @typedef {import("../../core/tree.js").Score} Score
 * @typedef {import("./pairs.js").Scored} Scored
 * @typedef {import("../../core/tokens.js").Token} Token
 *
 * @typedef {{side: "a", key: string, model: string, tokenIds: number[]}} AskedA
 * @typedef {{side: "b", key: string, model: string, text: string, literal: boolean, tokenIds: number[] | null, tokens: Token[]}} AskedB
 */
import { textHere } from "../../core/state.js";
import * as tree from "../../core/tree.js";
import { find } from "../models/model.js";
import { literally } from "../prompt/model.js";
import { receiveScores, textNodes, wantedScores } from "../scores/model.js";
import { here, otherModel, otherText, twins } from "./model.js";

/** @param {State} state @returns {boolean} two models have the same text, which has its tokens */
export function comparable(state) {
  const { frame, draft, current, end, model, comparison } = state;
  if (frame.view !== "compare" || draft !== null || current === null || model === null || otherModel(state) === model) return false;
  if (tree.node(state.tree, current).model !== model) return false;
  const text = textHere(state);
  return text !== "" && (comparison.prompt === null || otherText({ ...state, current: end ?? current, end: null }) === text);
}

/** @param {State} state @returns {AskedA | AskedB | null} one at a time, once the next tokens are compared */
export function wanted(state) {
  if (!comparable(state) || here(state) === null || state.play?.kind === "write" || state.lost !== null) return null;
  const asked = questionA(state) ?? questionB(state);
  if (asked === null || asked.key === state.comparison.scoreTrouble?.key || find(state, asked.model)?.state !== "ready") return null;
  return asked.side === "a" && wantedScores(state) ? null : asked; // the highlight asks for them
}

/** @param {State} state @param {AskedA | AskedB} asked @param {any} answer @returns {State} */
export function receive(state, asked, answer) {
  if (asked.side === "a") return change(receiveScores(state, asked, answer), { scoreTrouble: null });
  const tokens = asked.tokenIds ? asked.tokens.map((token, at) => ({ token, logprob: answer[at].logprob })) : answer;
  return change(state, { scores: { key: asked.key, tokens }, scoreTrouble: null });
}

/** @param {State} state @param {import("../../core/slices.js").Trouble} trouble @returns {State} */
export function fail(state, trouble) {
  return change(state, { scoreTrouble: trouble });
}

/** @param {State} state @returns {State} with the failed request to be retried */
export function retry(state) {
  return state.comparison.scoreTrouble ? change(state, { scoreTrouble: null }) : state;
}

/** @param {State} state @returns {import("../../core/slices.js").Trouble | null} why the text of now has no scores */
export function trouble(state) {
  const { scoreTrouble } = state.comparison;
  const asked = comparable(state) ? [questionA(state), questionB(state)] : [];
  return asked.some((each) => each?.key === scoreTrouble?.key) ? scoreTrouble : null;
}

/** @param {State} state @returns {{a: Scored[], b: Scored[]} | null} null unless both sides are known for the text of now */
export function scored(state) {
  if (!comparable(state) || questionA(state) || questionB(state)) return null;
  const a = textNodes(state).map(({ id, token, score }) => ({ token: /** @type {Token} */ (token), logprob: score?.logprob ?? null, node: id }));
  return { a, b: (state.comparison.scores?.tokens ?? []).map((each) => ({ ...each, node: null })) };
}

/** @param {State} state @returns {AskedA | null} null if they are known */
function questionA(state) {
  const nodes = textNodes(state);
  if (nodes.every(({ score }) => score)) return null;
  const [{ model }] = nodes;
  const tokenIds = tree.tokens(nodes).map(({ id }) => id);
  return { side: "a", key: JSON.stringify(["a", model, tokenIds]), model, tokenIds };
}

/** @param {State} state @returns {AskedB | null} null if they are known */
function questionB(state) {
  const [model, text, literal] = [otherModel(state), textHere(state), literally(state)];
  const tokens = tree.tokens(textNodes(state));
  const ids = tokens.map(({ id }) => id);
  const tokenIds = state.comparison.prompt === null && twins(state, ids) ? ids : null;
  const key = JSON.stringify(["b", model, tokenIds ?? [text, literal]]);
  return state.comparison.scores?.key === key ? null : { side: "b", key, model, text, literal, tokenIds, tokens };
}

/** @param {State} state @param {Partial<State["comparison"]>} changes @returns {State} */
function change(state, changes) {
  return { ...state, comparison: { ...state.comparison, ...changes } };
}
