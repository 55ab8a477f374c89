/**
 * Another text or conversation in place of the reader's, one undo step away from it. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { converse } from "../../core/chat.js";
import { edit, pastWithDraft, rest, undoStep } from "../../core/state.js";

/** @param {State} state @param {string} text @param {readonly [import("../../core/slices_later.js").Role, string][]} [turns] of a conversation @returns {State} */
export function begin(state, text, turns) {
  if (turns) {
    const chat = { ...state.chat, text: state.chat.entered ? state.chat.text : undoStep(state) };
    const conversation = turns.map(([role, content]) => ({ role, content, tokens: null }));
    return { ...converse({ ...rest(state), chat }, conversation), past: pastWithDraft(state) };
  }
  const next = edit(rest(state), text);
  return next === state ? state : { ...next, past: pastWithDraft(state), base: null, session: null };
}
