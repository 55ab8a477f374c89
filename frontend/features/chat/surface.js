/**
 * How the surface Chat follows the text, and the text the surface. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("./model.js").Here} Here
 */
import { converse, talking } from "../../core/chat.js";
import { chooseSurface } from "../../core/frame.js";
import { edit, ending, goTo, textHere, undoStep } from "../../core/state.js";
import { textOf } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { find } from "../models/model.js";
import { fresh, here, refusal } from "./model.js";

/**
 * Keeps surface and text together: what the reader opens, undoes or follows may be a conversation or not.
 * @param {State} state @returns {State} unchanged if they are
 */
export function follow(state) {
  const { chat, frame } = state;
  if (frame.surface !== "chat") return chat.entered ? leave(state) : state;
  if (state.model === null || !find(state, state.model)?.facts || refusal(state)) return state;
  const now = here(state);
  if (!chat.entered) return now ? { ...state, chat: { ...chat, entered: true } } : enter(state);
  if (talking(state)) return state;
  if (state.draft !== null) {
    if (now && state.linked === null && state.draft === textHere(state)) return resume(state, now); // by another model
    return outside(state);
  }
  return now || state.current === null ? state : outside(state);
}

/** @param {State} state @returns {State} with the conversation that was left, or one that begins with the text */
function enter(state) {
  const { chat, draft } = state;
  const entered = { ...state, chat: { ...chat, entered: true, text: undoStep(state) ?? null } };
  if (chat.asked) return converse(entered, chat.asked.turns, chat.asked);
  const { left } = chat;
  if (left !== null && state.tree.nodes.has(left) && tree.node(state.tree, left).model === state.model) return goTo({ ...entered, draft: null, session: null }, left);
  return converse(entered, [{ ...fresh("user"), content: draft ?? textHere(state) }]);
}

/** @param {State} state @returns {State} with the text that was left */
function leave(state) {
  const { text } = state.chat;
  const now = here(state);
  const left = now && !talking(state) && state.draft === null ? ending(state) : state.chat.left;
  const chat = { ...state.chat, entered: false, typing: false, left, text: null };
  const next = { ...state, chat };
  if (!now && !talking(state)) return next;
  const away = talking(state) ? { ...next, draft: null } : next;
  if (typeof text === "number") return state.tree.nodes.has(text) ? goTo(away, text) : away;
  if (!text) return away;
  const under = text.at !== null && state.tree.nodes.has(text.at) ? goTo(away, text.at) : away;
  return edit(under, text.text);
}

/** @param {State} state @returns {State} the text is no conversation: shown as text */
function outside(state) {
  return chooseSurface({ ...state, chat: { ...state.chat, entered: false, typing: false, text: null } }, "text");
}

/** @param {State} state @param {Here} now @returns {State} the same words for another model, whose tokens are others */
function resume(state, { talk, own }) {
  const words = textOf(tree.tokens(own));
  const turns = talk.turns.map((turn) => ({ ...turn, tokens: null }));
  const last = turns.at(-1);
  if (talk.open && last) last.content += words;
  else if (words) turns.push({ role: "assistant", content: words, tokens: null });
  return converse(state, turns, { open: talk.open || words !== "" });
}
