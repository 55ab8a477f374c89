/**
 * The page's state and its transitions. Pure: each returns a new state; times are passed in.
 *
 * @typedef {import("./tree.js").Tree} Tree
 * @typedef {import("./tokens.js").Token} Token
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./distribution.js").Candidate} Candidate
 * @typedef {import("./slices.js").Model} Model
 * @typedef {import("./questions.js").Question} Question
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {import("./settings.js").Dice} Dice
 * @typedef {import("./slices.js").Trouble} Trouble
 * @typedef {import("./slices.js").Play} Play
 * @typedef {import("./slices.js").Panel} Panel
 *
 * @typedef {number | {text: string, at: number | null}} UndoStep  an undo step: a node, or a draft and the node it started from
 *
 * @typedef {object} State
 * @property {Tree} tree
 * @property {number | null} current  the node whose next token the chart shows; null before the first answer
 * @property {number | null} end  the node at the end of the text while the chart is at an earlier position
 * @property {string | null} draft  text that has no answer yet
 * @property {"typing" | "typed" | null} session  typing: since the last step; typed: and an answer has arrived since
 * @property {readonly UndoStep[]} past
 * @property {readonly UndoStep[]} future
 * @property {Settings} settings
 * @property {Dice} dice
 * @property {import("./display.js").Display} display
 * @property {readonly import("./slices.js").Pin[]} pins
 * @property {{pin: import("./slices.js").Pin, versus: string | null, at: number | null} | null} unpinned  the pin removed last, and where
 * @property {string | null} versus  name of the pin to compare with
 * @property {string} likely  the text typed into "How likely is …?"
 * @property {ReadonlyMap<string, import("./slices.js").Spelling>} spellings  tokenizations of such texts
 * @property {ReadonlyMap<string, import("./slices.js").Lookup>} lookups  of their tokens
 * @property {Trouble | null} probeTrouble  why the lookup failed
 * @property {import("./slices.js").Linked | null} linked  tokens from a link, until they have an answer
 * @property {string | null} linkTrouble  why a link could not be opened
 * @property {Play | null} play  the sampling in progress
 * @property {string | null} said  how it ended
 * @property {readonly import("./slices.js").Removed[]} removed  deleted branches, newest last
 * @property {import("./slices.js").Saved} saved  how much of this survives a reload
 * @property {Readonly<Record<Panel, boolean>>} open  which panels are open
 * @property {boolean} dragging  a control is being dragged; no requests
 * @property {import("./slices.js").Shading} shading  the text's highlight
 * @property {ReadonlyMap<string, Answer>} answers  by model and token ids, newest last
 * @property {string | null} drawn  key of the answer shown, while the next one is awaited
 * @property {readonly Model[] | null} models  null until the server has sent them
 * @property {ReadonlyMap<string, {at: number, done: number, rate: number}>} progress  download rates, in bytes per second
 * @property {string | null} wish  the model chosen; null for the server's default
 * @property {string | null} model  the model in use
 * @property {string | null} lost  why the server can't be reached
 * @property {Trouble | null} trouble
 * @property {{key: string, long: boolean} | null} thinking  the request whose answer is slow
 * @property {{model: string, message: string} | null} loadTrouble
 * @property {import("./slices.js").Reread | null} reread  how another model tokenized the current text
 * @property {import("./slices.js").Room} room
 */
import { scoreOfNext } from "./beginning.js";
import { FIRST_DISPLAY } from "./display.js";
import { FIRST_DICE, FIRST_SETTINGS } from "./settings.js";
import { FIRST_ROOM, FIRST_SHADING } from "./slices.js";
import { noToken } from "./tokens.js";
import * as tree from "./tree.js";

export const FIRST_TEXT = "Once upon a time";
export const MOST_PAST = 1000;

/** @returns {State} */
export function initial() {
  return {
    tree: tree.EMPTY,
    current: null,
    end: null,
    draft: FIRST_TEXT,
    session: null,
    past: [],
    future: [],
    settings: FIRST_SETTINGS,
    dice: FIRST_DICE,
    display: FIRST_DISPLAY,
    pins: [],
    unpinned: null,
    versus: null,
    likely: "",
    spellings: new Map(),
    lookups: new Map(),
    probeTrouble: null,
    linked: null,
    linkTrouble: null,
    play: null,
    said: null,
    removed: [],
    saved: "all",
    open: { more: false, steps: false, paths: false, likely: false },
    dragging: false,
    shading: FIRST_SHADING,
    answers: new Map(),
    drawn: null,
    models: null,
    progress: new Map(),
    wish: null,
    model: null,
    lost: null,
    trouble: null,
    thinking: null,
    loadTrouble: null,
    reread: null,
    room: FIRST_ROOM,
  };
}

/** @param {string} model @param {readonly number[]} ids @returns {string} the answer's key in `answers` */
export function answerKey(model, ids) {
  return JSON.stringify([model, ids]);
}

/** @param {State} state @param {string} text @returns {State} with the text as edited */
export function edit(state, text) {
  if (text === (state.draft ?? textHere(state))) return state;
  const current = ending(state);
  return { ...state, current, end: null, draft: text, linked: null, linkTrouble: null, session: state.session ?? "typing", trouble: null, play: null, said: null };
}

/** @param {State} state @returns {State} typing ended: the next edit is a separate undo step */
export function rest(state) {
  return state.session && state.draft === null ? { ...state, session: null } : state;
}

/**
 * Appends the candidate at the chart's position, unless it is not from the current text's answer: a click on stale bars is
 * ignored.
 * @param {State} state @param {Candidate} candidate @param {number | null} raw its probability at temperature 1
 * @returns {State}
 */
export function append(state, candidate, raw) {
  if (state.current === null || state.draft !== null) return state;
  const key = answerKey(tree.node(state.tree, state.current).model, tree.tokenIds(state.tree, state.current));
  const answer = state.answers.get(key);
  if (!answer || ![answer.candidates, answer.drawn, answer.watched].some((all) => all.includes(candidate))) return state;
  if (noToken(candidate.token)) return { ...state, play: null, said: noneWords(candidate.token) };
  const known = { probability: raw, rank: candidate.rank, score: scoreOfNext(state, answer, candidate) };
  const [grown, id] = tree.extend(state.tree, state.current, candidate.token, known);
  const next = { ...state, tree: grown };
  // The text's own token: the chart moves along the text. Generating starts a new branch instead.
  const along = state.end !== null && state.play?.kind !== "write" && tree.leadsTo(grown, id, state.end);
  return along ? stand(next, id) : goTo(next, id);
}

/** @param {Token} token without text @returns {string} why it was not appended */
function noneWords({ id }) {
  return `Nothing was appended: id ${id} is no token. The model has a row for it, its tokenizer does not.`;
}

/** @param {State} state @param {number} id @returns {State} with the text ending at that node */
export function goTo(state, id) {
  if (id === ending(state) && state.draft === null) return stand(state, id);
  const here = undoStep(state);
  return { ...arrive(state, id), past: here === null ? state.past : [...state.past, here].slice(-MOST_PAST), future: [] };
}

/** @param {State} state @param {number} id in the current text @returns {State} with the chart there and the text unchanged */
export function stand(state, id) {
  const end = ending(state);
  if (id === state.current && state.draft === null) return state;
  const { model } = tree.node(state.tree, id);
  const key = answerKey(model, tree.tokenIds(state.tree, id));
  const drawn = state.answers.has(key) ? key : state.drawn;
  return { ...state, current: id, end: id === end ? null : end, drawn, trouble: null, play: null, said: null };
}

/** @param {State} state @returns {State} with the last token removed; it stays on its branch */
export function takeBack(state) {
  if (state.current === null || state.draft !== null) return state;
  const { parent } = tree.node(state.tree, state.current);
  if (parent === null) return state;
  if (state.end !== null) return tree.isFirstMark(state.tree, state.current) ? state : stand(state, parent);
  return state.past.at(-1) === parent ? undo(state) : goTo(state, parent);
}

/** @param {State} state @returns {State} */
export function undo(state) {
  const here = undoStep(state);
  const future = here === null ? state.future : [here, ...state.future];
  // A draft is on top of the node it started from.
  if (state.draft !== null && state.current !== null) {
    return { ...arrive(state, state.current), future: here === state.current ? state.future : future };
  }
  const back = state.past.at(-1);
  return back === undefined ? state : { ...arrive(state, back), past: state.past.slice(0, -1), future };
}

/** @param {State} state @returns {State} */
export function redo(state) {
  const [next, ...future] = state.future;
  if (next === undefined) return state;
  const here = undoStep(state);
  // A draft without an answer never became a node: it starts again from here.
  const past = here === null || typeof next !== "number" ? state.past : [...state.past, here];
  return { ...arrive(state, next), past, future };
}

/** @param {State} state @param {Panel} panel @param {boolean} open @returns {State} */
export function unfold(state, panel, open) {
  return state.open[panel] === open ? state : { ...state, open: { ...state.open, [panel]: open } };
}

/** @param {State} state @returns {number | null} the node at the end of the text */
export function ending(state) {
  return state.end ?? state.current;
}

/** @param {State} state @returns {string} the current text, without a draft */
export function textHere(state) {
  const end = ending(state);
  return end === null ? "" : tree.text(state.tree, end);
}

/** @param {State} state @returns {UndoStep | null} the current undo step */
export function undoStep(state) {
  return state.draft !== null && state.session !== null ? { text: state.draft, at: ending(state) } : ending(state);
}

/** @param {State} state @returns {readonly UndoStep[]} the undo history, including the draft */
export function pastWithDraft(state) {
  const here = undoStep(state);
  return typeof here === "number" || here === null ? state.past : [...state.past, here].slice(-MOST_PAST);
}

/** @param {State} state @param {UndoStep} to @returns {State} */
function arrive(state, to) {
  const fresh = { linked: null, linkTrouble: null, trouble: null, play: null, said: null };
  if (typeof to !== "number") {
    const under = to.at !== null && state.tree.nodes.has(to.at) ? to.at : ending(state);
    return { ...state, ...fresh, current: under, end: null, draft: to.text, session: "typing" };
  }
  const { model } = tree.node(state.tree, to);
  const key = answerKey(model, tree.tokenIds(state.tree, to));
  return {
    ...state,
    tree: tree.goneTo(state.tree, to),
    current: to,
    end: null,
    draft: null,
    session: null,
    ...fresh,
    model,
    wish: model === state.model ? state.wish : model,
    drawn: state.answers.has(key) ? key : state.drawn,
  };
}
