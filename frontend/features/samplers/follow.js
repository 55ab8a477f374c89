/**
 * Keeps a mask at its first token while the text changes, and has the page compute what steps do where it can. Loaded with the first answer that has sampler steps.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Step} Step
 *
 * @typedef {object} Text  as it was when the mask’s place was known
 * @property {number | null} node  at its end
 * @property {string} model
 * @property {readonly number[]} ids
 * @property {string} words
 */
import { steps } from "../../core/questions.js";
import { ending } from "../../core/state.js";
import { textOf } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { simulate } from "./local.js";
import { toldOf } from "./mask.js";
import { changed } from "./model.js";
import { MASK } from "./words.js";

let begun = false;

/** @param {Pick<import("../frame/room.js").Page, "act" | "read" | "consider">} page */
export function follow({ act, read, consider }) {
  if (begun) return;
  begun = true;
  steps.simulate = simulate;
  let last = read().linked ? null : textHere(read());
  const look = () => {
    const state = read();
    const told = state.trouble && toldOf(state.trouble);
    if (told !== state.trouble) return act((now) => ({ ...now, trouble: told }));
    if (state.linked && state.draft !== null) last = null; // a mask that came with a link belongs to its text
    if (state.draft !== null || state.current === null || (last?.node === ending(state) && maskOf(state)?.from !== null)) return;
    const before = last;
    last = textHere(state);
    act((now) => moved(now, before));
  };
  consider(look);
  look();
}

/** @param {State} state whose text has its answer @param {Text | null} before the text that the mask’s place is of; null: that of a link @returns {State} with the mask where it was, or switched off in words */
export function moved(state, before) {
  const step = maskOf(state);
  const now = textHere(state);
  if (!step?.on || !now) return state;
  const ends = state.models?.find(({ name }) => name === now.model)?.facts?.endOfTextIds ?? [];
  const from = before ? placeIn(step.from ?? null, before, now, state.session === "typed", ends) : linkedPlace(state, step, now);
  if (from === step.from) return state;
  if (from !== null) return keeping(state, changed(state, "mask", { from }));
  return { ...keeping(state, changed(state, "mask", { on: false, lost: true, from: null })), said: MASK.lost };
}

/**
 * @param {number | null} from  how many tokens came before the mask’s first one; null: not known yet
 * @param {Pick<Text, "model" | "ids" | "words">} old @param {Pick<Text, "model" | "ids" | "words">} now
 * @param {boolean} typed  the new text was typed
 * @param {readonly number[]} ends  ids that end a text
 * @returns {number | null} how many come before it in the new text; null if it is not there any more
 */
export function placeIn(from, old, now, typed, ends = []) {
  const { length } = now.ids;
  if (from === null) return length;
  if (old.model !== now.model) return old.words === now.words && from >= old.ids.length ? length : null;
  const first = now.ids.findIndex((id, at) => id !== old.ids[at]);
  const same = first < 0 ? length : first; // tokens that both begin with
  const behind = same === length || same === old.ids.length; // one is the beginning of the other
  // Nothing is masked yet: the mask waits at the end of what is typed.
  if (from >= old.ids.length) return typed || !behind ? length : from;
  // The masked text has ended, and another turn of a conversation has come after it.
  if (same === old.ids.length && length > same + 1 && old.ids.slice(from).some((id) => ends.includes(id))) return length;
  if (same >= from) return from;
  if (same === length) return typed ? length : from;
  const by = length - old.ids.length;
  return from + by >= 0 && String(now.ids.slice(from + by)) === String(old.ids.slice(from)) ? from + by : null;
}

/** @param {State} state @param {Step} step @param {Text} now @returns {number | null} */
function linkedPlace({ linked }, { from = null }, { model, ids }) {
  if (!linked || linked.model === model) return from ?? ids.length;
  return from === null || from >= linked.ids.length ? ids.length : null; // another tokenizer read it
}

/** @param {State} before @param {State} after @returns {State} what was being drawn goes on */
function keeping({ play, said, trouble }, after) {
  return { ...after, play, said, trouble };
}

/** @param {State} state @returns {Step | undefined} */
function maskOf({ settings }) {
  return settings.chain?.find(({ name }) => name === "mask");
}

/** @param {State} state @returns {Text | null} up to its end, wherever the chart stands */
function textHere(state) {
  const node = ending(state);
  if (node === null) return null;
  const tokens = tree.tokens(tree.path(state.tree, node));
  return { node, model: tree.node(state.tree, node).model, ids: tokens.map(({ id }) => id), words: textOf(tokens) };
}
