/**
 * Warnings about the current text. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tokens.js").Token} Token
 */
import * as format from "../../core/format.js";
import { answerHere, edited } from "../../core/questions.js";
import { ending, textHere } from "../../core/state.js";
import { groups, shown, textOf } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { PROMPT } from "../../core/words.js";
import { find } from "../models/model.js";
import { textNodes } from "../scores/model.js";

const MOST_NAMED = 3;
const READ = {
  token: ["is a special token here, not text.", "Read it as plain characters"],
  text: ["Names of special tokens are plain characters in this text.", "Read them as special tokens"],
};

/** @param {State} state @returns {boolean} the text has no tokens, and none are to be expected soon */
export function unread({ draft, trouble, lost }) {
  return draft !== null && (trouble !== null || lost !== null);
}

/** @param {State} state @returns {string | null} such as "8 tokens of 8,192"; null while the text is being tokenized */
export function countWords(state) {
  if (unread(state)) return PROMPT.unread;
  const end = ending(state);
  if (state.draft !== null || end === null) return null;
  const number = tree.path(state.tree, end).length;
  const limit = answerHere(state)?.contextLimit ?? find(state, tree.node(state.tree, end).model)?.facts?.contextLimit;
  return `${format.tokens(number)}${limit ? ` of ${format.count(limit)}` : ""}`;
}

/** @param {State} state @returns {string} the warnings, or empty */
export function noteWords(state) {
  return [doubledWords(state), lostWords(state)].filter(Boolean).join(" ");
}

/** @param {State} state @returns {Token | null} a special token that the tokenizer adds and the text repeats */
export function doubled(state) {
  const nodes = textNodes(state);
  const front = find(state, nodes[0]?.model ?? null)?.facts?.prefixTokenIds ?? [];
  const again = nodes[front.length]?.token;
  return again && front.includes(again.id) && front.every((id, at) => nodes[at].token?.id === id) ? again : null;
}

/** @param {State} state @returns {{words: string, offer: string} | null} how names of special tokens in the typed text are read, and what else could be */
export function specialWords(state) {
  const end = ending(state);
  if (state.draft !== null || end === null || tree.node(state.tree, end).typed === null) return null;
  return readingWords(namedHere(state), state.literal);
}

/** @param {Token | null} named  a special token that a text names @param {boolean} literal @returns {{words: string, offer: string} | null} */
export function readingWords(named, literal) {
  const [words, offer] = READ[named ? "token" : "text"];
  if (named) return { words: `${shown(named)} ${words}`, offer };
  return literal ? { words, offer } : null;
}

/** @param {readonly Token[]} tokens @param {string} text @returns {Token | null} the first special one whose name is in the text */
export function namedIn(tokens, text) {
  return tokens.find(({ special, bytes }) => special && bytes.length > 0 && text.includes(new TextDecoder().decode(bytes))) ?? null;
}

/** @param {State} state @returns {boolean} names of special tokens are plain characters in the text; one from before that reading still has its tokens */
export function literally(state) {
  return state.literal && namedHere(state) === null;
}

/** @param {State} state @returns {State} with the typed text read the other way */
export function readOther(state) {
  return { ...state, literal: !literally(state), draft: state.draft ?? textHere(state), end: null, current: ending(state), base: null, session: null, linked: null, trouble: null, play: null, said: null };
}

/** @param {State} state @returns {Token | null} a special token that typed text names */
function namedHere(state) {
  const end = ending(state);
  if (state.draft !== null || end === null) return null;
  const front = find(state, state.model)?.facts?.prefixTokenIds?.length ?? 0;
  const found = tree.runs(state.tree, end).map(({ nodes, text }, at) => (text === null ? null : namedIn(tree.tokens(nodes).slice(at ? 0 : front), text)));
  return found.find((each) => each !== null) ?? null;
}

/** @param {State} state */
function doubledWords(state) {
  const again = doubled(state);
  if (!again) return "";
  return `${shown(again)} is at the beginning twice: the tokenizer already adds it in front of every text. Delete yours, or the numbers will be off.`;
}

/** @param {State} state @returns {string} what the last edit removed that the editor does not show */
function lostWords(state) {
  const made = edited(state);
  const told = made && state.told !== null ? edited({ ...state, draft: state.told })?.lost : null;
  const lost = made ? made.lost.filter((token) => !told?.includes(token)) : lostToModel(state);
  const names = lost.filter((token) => token.special).map(shown);
  if (!lost.length) return "";
  const what = PROMPT.more(names.slice(0, MOST_NAMED).join(", "), Math.max(0, names.length - MOST_NAMED)) || PROMPT.character;
  const one = names.length < 2;
  return made ? PROMPT.removed(what, one) : PROMPT.textAlone(what, one, format.shortName(state.model ?? ""));
}

/** @param {State} state @returns {Token[]} what another model does not get, which takes over only the text */
function lostToModel({ tree: all, base, model }) {
  if (base === null || !all.nodes.has(base) || tree.node(all, base).model === model) return [];
  const picked = tree.runs(all, base).filter(({ text }) => text === null);
  const nodes = picked.flatMap((run) => run.nodes).filter(({ id }) => !tree.isFirstMark(all, id));
  return groups(tree.tokens(nodes)).flatMap(({ start, count }) => {
    const tokens = tree.tokens(nodes.slice(start, start + count));
    return textOf(tokens) ? [] : tokens;
  });
}
