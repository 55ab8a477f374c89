/**
 * Conversations: their turns, and the tokens that the template makes of them. Pure.
 *
 * A conversation is the node at which its rendered tokens end; what was picked since is its open turn. So undo, branches and
 * answers are those of any text.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tree.js").Node} Node
 * @typedef {import("../../core/slices_later.js").Turn} Turn
 * @typedef {import("../../core/slices_later.js").Role} Role
 * @typedef {import("../../core/slices_later.js").Talk} Talk
 * @typedef {import("../../net/chat.js").ChatToken} ChatToken
 * @typedef {import("../../net/chat.js").ChatQuestion} ChatQuestion
 *
 * @typedef {object} Here  the conversation that the current text is
 * @property {Talk} talk
 * @property {number} base  its node
 * @property {Node[]} own  what was picked since: the open turn, or what goes on with it
 *
 * @typedef {object} Block  one turn, or what belongs to none
 * @property {Role | null} role
 * @property {number | null} at  index of the turn; null: no turn of the reader's
 * @property {boolean} open
 * @property {readonly Piece[]} nodes  none while they are awaited
 *
 * @typedef {object} Piece  a token of a turn
 * @property {Node} node
 * @property {boolean} content  not the template's
 * @property {boolean} own  picked since
 */
import { converse, talking } from "../../core/chat.js";
import { ending, goTo } from "../../core/state.js";
import { textOf } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { find } from "../models/model.js";

/** @param {State} state @returns {Here | null} null if the text is no conversation */
export function here(state) {
  let at = ending(state);
  /** @type {Node[]} */
  const own = [];
  while (at !== null && state.tree.nodes.has(at)) {
    const talk = state.chat.talks.get(at);
    if (talk) return { talk, base: at, own: own.reverse() };
    const node = tree.node(state.tree, at);
    own.push(node);
    at = node.parent;
  }
  return null;
}

/** @param {State} state @returns {string} why the model has no conversations; empty if it has, or that is not known yet */
export function refusal(state) {
  return find(state, state.model)?.facts?.chatRefusal ?? "";
}

/** @param {State} state @returns {readonly Turn[]} those the reader sees, without the open one unless that is written in part */
export function turnsOf(state) {
  if (talking(state)) return /** @type {import("../../core/slices_later.js").AskedTalk} */ (state.chat.asked).turns;
  return here(state)?.talk.turns ?? [];
}

/** @param {State} state @returns {Block[]} from the first to the open one */
export function blocks(state) {
  const { asked } = state.chat;
  if (asked && talking(state)) {
    const waiting = asked.turns.map(({ role }, at) => ({ role, at, open: asked.open && at === asked.turns.length - 1, nodes: [] }));
    return asked.open ? waiting : [...waiting, { role: "assistant", at: null, open: true, nodes: [] }];
  }
  const now = here(state);
  if (!now) return [];
  const { talk, base, own } = now;
  const path = tree.path(state.tree, base);
  /** @type {Map<number | null, Piece[]>} */
  const found = new Map();
  let from = 0;
  /** @type {(number | null)[]} */
  const order = [];
  for (const { message, content, count } of talk.parts) {
    if (!found.has(message)) order.push(message);
    const nodes = found.get(message) ?? [];
    nodes.push(...path.slice(from, from + count).map((node) => ({ node, content, own: false })));
    found.set(message, nodes);
    from += count;
  }
  const last = talk.open ? talk.turns.length - 1 : talk.turns.length;
  const indices = Array.from({ length: last + 1 }, (_, at) => at);
  /** @type {(number | null)[]} a turn that the template drops stays with the reader */
  const all = [...(order.includes(null) ? [null] : []), ...indices];
  return all.map((message) => ({
    role: message === null ? null : (talk.turns[message]?.role ?? "assistant"),
    at: message !== null && message < talk.turns.length ? message : null,
    open: message === last,
    nodes: [...(found.get(message) ?? []), ...(message === last ? own.map((node) => ({ node, content: true, own: true })) : [])],
  }));
}

/** @param {State} state @param {number} at @param {Partial<Turn>} changes @param {boolean} [typing] @returns {State} with one turn changed */
export function change(state, at, changes, typing = false) {
  const turns = turnsOf(state).map((turn, index) => (index === at ? { ...turn, tokens: null, ...changes } : turn));
  return again(state, turns, typing);
}

/** @param {State} state @param {number} at @returns {State} without one turn; the only one is emptied */
export function remove(state, at) {
  const turns = turnsOf(state).filter((_, index) => index !== at);
  const open = opened(state) && at !== turns.length;
  return converse(state, turns.length ? turns : [fresh("user")], { open, tail: tailOf(state) });
}

/** @param {State} state @returns {State} with a system message in front */
export function instruct(state) {
  return again(state, [fresh("system"), ...turnsOf(state)]);
}

/** @param {State} state @returns {State} with the open turn closed, if it has words, and another of the user's behind it */
export function reply(state) {
  return converse(state, [...closed(state), fresh("user")]);
}

/** @param {State} state @returns {State} with the open turn as text that can be edited, and goes on */
export function rewrite(state) {
  if (opened(state)) return state;
  const turns = closed(state);
  return converse(state, turns.length > turnsOf(state).length ? turns : [...turns, fresh("assistant")], { open: true });
}

/** @param {State} state @returns {State} without what was picked in the open turn */
export function clear(state) {
  const now = here(state);
  return now?.own.length ? goTo(state, now.base) : state;
}

/** @param {State} state @param {boolean} marks @returns {State} */
export function showMarks(state, marks) {
  return { ...state, chat: { ...state.chat, marks } };
}

/** @param {State} state @returns {State} the next change is an undo step of its own */
export function settle(state) {
  return state.chat.typing && !talking(state) ? { ...state, chat: { ...state.chat, typing: false } } : state;
}

/** @param {State} state @returns {ChatQuestion | null} what the template has to write */
export function wanted(state) {
  const { asked, trouble } = state.chat;
  const { model } = state;
  if (!asked || !talking(state) || model === null || state.lost !== null || refusal(state)) return null;
  const turns = asked.turns.map(({ role, content }) => ({ role, content }));
  const { literal } = state;
  const key = JSON.stringify([model, turns, asked.open, literal]);
  return find(state, model)?.state === "ready" && trouble?.key !== key ? { key, model, turns, open: asked.open, literal } : null;
}

/** @param {State} state @param {ChatQuestion} question @param {readonly ChatToken[]} rendered @returns {State} with the conversation's tokens as the text */
export function receive(state, question, rendered) {
  const { asked, typing } = state.chat;
  if (!asked || !talking(state)) return state;
  const tokens = splice(rendered, asked.turns);
  const before = ending(state);
  let [grown, at] = tree.rootFor(state.tree, question.model);
  [grown, at] = tree.extendAll(grown, at, tokens.map(({ token }) => token));
  const base = at;
  [grown, at] = tree.extendAll(grown, at, asked.tail);
  const talks = new Map(state.chat.talks).set(base, { turns: asked.turns, parts: partsOf(tokens), open: asked.open });
  for (const id of talks.keys()) if (!grown.nodes.has(id)) talks.delete(id);
  const chat = { ...state.chat, talks, asked: null, typing: asked.typed, trouble: null };
  const next = goTo({ ...state, tree: grown, draft: null, chat }, at);
  if (!typing || before === null || before === at) return next;
  const places = [...state.past, ...state.future].filter((each) => typeof each === "number");
  return { ...next, tree: tree.prune(next.tree, before, new Set([at, .../** @type {number[]} */ (places)]), true), past: state.past };
}

/** @param {State} state @param {import("../../core/state.js").Trouble} trouble @returns {State} */
export function fail(state, trouble) {
  return { ...state, chat: { ...state.chat, trouble } };
}

/** @param {State} state @returns {State} with the failed request to be retried */
export function retry(state) {
  return state.chat.trouble ? { ...state, chat: { ...state.chat, trouble: null } } : state;
}

/**
 * Picked tokens stay what they are where the template writes their text as it is.
 * @param {readonly ChatToken[]} rendered @param {readonly Turn[]} turns @returns {ChatToken[]}
 */
export function splice(rendered, turns) {
  const tokens = [...rendered];
  turns.forEach(({ tokens: picked }, message) => {
    const from = tokens.findIndex((each) => each.message === message && each.content);
    const after = tokens.findLastIndex((each) => each.message === message && each.content) + 1;
    if (!picked?.length || from < 0) return;
    const run = tokens.slice(from, after);
    const same = run.every(({ content }) => content) && textOf(run.map(({ token }) => token)) === textOf(picked);
    if (same) tokens.splice(from, run.length, ...picked.map((token) => ({ token, message, content: true })));
  });
  return tokens;
}

/** @param {State} state @param {readonly Turn[]} turns @param {boolean} [typing] @returns {State} with these turns and the open one as it is */
export function again(state, turns, typing = false) {
  return converse(state, turns, { open: opened(state), tail: tailOf(state), typing });
}

/** @param {State} state @returns {boolean} the last turn goes on */
function opened(state) {
  return talking(state) ? state.chat.asked?.open === true : here(state)?.talk.open === true;
}

/** @param {State} state */
function tailOf(state) {
  return talking(state) ? (state.chat.asked?.tail ?? []) : tree.tokens(here(state)?.own ?? []);
}

/** @param {State} state @returns {Turn[]} all turns, with the open one as the last if it has words; its tokens are kept */
function closed(state) {
  const turns = [...turnsOf(state)];
  const tail = [...tailOf(state)];
  while (tail.at(-1)?.special) tail.pop(); // what ends the turn is the template's
  const now = talking(state) ? null : here(state);
  const words = textOf(tail);
  const last = turns.at(-1);
  if (opened(state) && last) {
    const begun = now ? (blocks(state).at(-1)?.nodes ?? []).filter(({ content }) => content).map(({ node }) => node) : [];
    const all = tree.tokens(begun);
    while (all.at(-1)?.special) all.pop();
    turns[turns.length - 1] = { ...last, content: last.content + words, tokens: now ? all : null };
  } else if (tail.length) turns.push({ role: "assistant", content: words, tokens: tail });
  return turns;
}

/** @param {Role} role @returns {Turn} without words */
export function fresh(role) {
  return { role, content: "", tokens: null };
}

/** @param {readonly ChatToken[]} tokens */
function partsOf(tokens) {
  /** @type {import("../../core/slices_later.js").Part[]} */
  const parts = [];
  for (const { message, content } of tokens) {
    const last = parts.at(-1);
    if (last?.message === message && last.content === content) last.count++;
    else parts.push({ message, content, count: 1 });
  }
  return parts;
}
