/** What the surface Chat says. Pure data. */
import * as format from "../../core/format.js";

/** @type {Readonly<Record<import("../../core/slices_later.js").Role, string>>} */
export const ROLES = { system: "System", user: "User", assistant: "Assistant" };

export const CHAT = {
  label: "Conversation",
  role: (/** @type {number} */ number) => `Role of message ${format.count(number)}`,
  content: (/** @type {string} */ role, /** @type {number} */ number) => `${role}, message ${format.count(number)}`,
  remove: (/** @type {string} */ role, /** @type {number} */ number) => `Remove message ${format.count(number)}, ${role}`,
  open: "the model writes here",
  tokens: (/** @type {string} */ role) => `${role}, as tokens`,
  template: "Template",
  reply: "Reply",
  instruct: "Add system message",
  rewrite: "Edit",
  clear: "Clear",
  marks: "Show template",
  waiting: "…",
  empty: "Click a bar or press Generate: the model answers here.",
  placeholder: "Write a message. Enter lets the model answer.",
  undo: "Undo",
  redo: "Redo",
  none: (/** @type {string} */ model, /** @type {string} */ reason) => `${model} can’t hold a conversation: ${reason} Choose an instruct model above, or go on in Text.`,
  loading: "The conversation appears once a model is ready.",
  again: "Try again",
  earlier: (/** @type {number} */ number) => `… ${format.tokens(number)} before`,
};
