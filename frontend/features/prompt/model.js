/**
 * Warnings about the current text. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tokens.js").Token} Token
 */
import { groups, shown } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { find } from "../models/model.js";
import { textNodes } from "../scores/model.js";

/** @param {State} state @returns {string} the warnings, or empty */
export function noteWords(state) {
  return [doubledWords(state), droppedWords(state)].filter(Boolean).join(" ");
}

/** @param {State} state @returns {Token | null} a special token that the tokenizer adds and the text repeats */
export function doubled(state) {
  const nodes = textNodes(state);
  const front = find(state, nodes[0]?.model ?? null)?.facts?.prefixTokenIds ?? [];
  const again = nodes[front.length]?.token;
  return again && front.includes(again.id) && front.every((id, at) => nodes[at].token?.id === id) ? again : null;
}

/** @param {State} state */
function doubledWords(state) {
  const again = doubled(state);
  if (!again) return "";
  return `${shown(again)} is at the beginning twice: the tokenizer already adds it in front of every text. Delete yours, or the numbers will be off.`;
}

/** @param {State} state */
function droppedWords(state) {
  const nodes = textNodes(state);
  // The tokenizer adds its own BOS again.
  const since = nodes.slice(nodes.findLastIndex((each) => each.typed !== null) + 1).filter(({ id }) => !tree.isFirstMark(state.tree, id));
  const chosen = tree.tokens(since);
  const mark = chosen.some((token) => token.special);
  const half = groups(chosen).some((group) => group.pieces.some((piece) => piece.kind === "byte"));
  const what = mark && half ? "Special tokens and partial characters" : mark ? "Special tokens" : half ? "Partial characters" : "";
  return what && `${what} are not text: they are removed when you edit.`;
}
