/**
 * A conversation that waits for its tokens, and conversations in storage. Pure; the rest is in `features/chat/model.js`.
 *
 * @typedef {import("./initial.js").State} State
 * @typedef {import("./slices_later.js").Turn} Turn
 * @typedef {import("./slices_later.js").Chat} Chat
 * @typedef {import("./tokens.js").Token} Token
 */
import { freezeToken, thawToken } from "./base64.js";
import { FIRST_CHAT } from "./slices.js";

const ROLES = ["system", "user", "assistant"];

/** @param {Pick<State, "chat" | "draft">} state @returns {boolean} the draft stands for a conversation, which the template has to write first */
export function talking({ chat, draft }) {
  return chat.asked !== null && draft === chat.asked.text;
}

/**
 * @param {State} state @param {readonly Turn[]} turns @param {{open?: boolean, tail?: readonly Token[], typing?: boolean}} [more]
 * @returns {State} with this conversation in place of the text
 */
export function converse(state, turns, { open = false, tail = [], typing = false } = {}) {
  const text = turns.map(({ content }) => content).join("\n\n");
  const chat = { ...state.chat, asked: { turns, open, tail, text, typed: typing }, entered: true, typing: typing && state.chat.typing, trouble: null };
  return { ...state, chat, frame: { ...state.frame, surface: "chat" }, draft: text, end: null, session: null, base: null, linked: null, trouble: null, play: null, said: null };
}

/** @param {State} state @param {readonly {id: number}[]} nodes that are saved @returns {object | undefined} nothing if there is no conversation */
export function freezeChat(state, nodes) {
  const { talks, asked, left, text, marks } = state.chat;
  const known = new Set(nodes.map(({ id }) => id));
  const kept = [...talks].filter(([id]) => known.has(id)).map(([id, { turns, parts, open }]) => ({ id, turns: turns.map(frozen), parts, open }));
  if (!kept.length && !asked) return undefined;
  const waiting = asked && talking(state) ? { turns: asked.turns.map(frozen), open: asked.open, tail: asked.tail.map(freezeToken), text: asked.text } : null;
  return { talks: kept, asked: waiting, left, text, marks };
}

/** @param {any} saved @param {ReadonlyMap<number, unknown>} nodes @returns {Chat} of whatever was saved */
export function readChat(saved, nodes) {
  const talks = new Map();
  for (const talk of Array.isArray(saved?.talks) ? saved.talks : []) {
    const turns = readTurns(talk?.turns);
    const parts = Array.isArray(talk?.parts) ? talk.parts.filter(isPart) : [];
    if (turns && nodes.has(talk.id)) talks.set(talk.id, { turns, parts, open: talk.open === true });
  }
  const turns = readTurns(saved?.asked?.turns);
  const text = typeof saved?.text === "number" ? (nodes.has(saved.text) ? saved.text : null) : typeof saved?.text?.text === "string" ? saved.text : null;
  return {
    ...FIRST_CHAT,
    talks,
    asked: turns && typeof saved.asked.text === "string" ? { turns, open: saved.asked.open === true, tail: readTokens(saved.asked.tail) ?? [], text: saved.asked.text, typed: false } : null,
    left: nodes.has(saved?.left) ? saved.left : null,
    text,
    marks: saved?.marks === true,
  };
}

/** @param {Turn} turn */
function frozen({ role, content, tokens }) {
  return { role, content, ...(tokens?.length && { tokens: tokens.map(freezeToken) }) };
}

/** @param {any} saved @returns {Token[] | null} null if any is invalid */
function readTokens(saved) {
  if (!Array.isArray(saved) || !saved.every((token) => Number.isInteger(token?.id) && token.id >= 0 && typeof token.bytes === "string")) return null;
  try {
    return saved.map(thawToken);
  } catch {
    return null;
  }
}

/** @param {any} saved @returns {Turn[] | null} null if any is invalid */
function readTurns(saved) {
  if (!Array.isArray(saved) || !saved.length) return null;
  if (!saved.every((turn) => ROLES.includes(turn?.role) && typeof turn.content === "string")) return null;
  return saved.map(({ role, content, tokens }) => ({ role, content, tokens: readTokens(tokens) }));
}

/** @param {any} part */
function isPart(part) {
  const named = part?.message === null || Number.isInteger(part?.message);
  return named && typeof part.content === "boolean" && Number.isInteger(part.count) && part.count > 0;
}
