/**
 * The page's state and every transition of it. Pure: a state is never changed, the next one is returned. Knows neither the
 * server nor the page; times come in as arguments.
 *
 * @typedef {import("./tree.js").Tree} Tree
 * @typedef {import("./tokens.js").Token} Token
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./distribution.js").Candidate} Candidate
 * @typedef {import("./slices.js").Model} Model
 * @typedef {import("./questions.js").Question} Question
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {import("./settings.js").Dice} Dice
 *
 * @typedef {object} Trouble  why the last question has no answer
 * @property {string} key  of the question
 * @property {string} message  in words, with what to do
 * @property {string} code
 * @property {string | null} field  of the request, where one is at fault
 * @property {boolean} again  it is asked again by itself
 *
 * @typedef {object} Play
 * @property {"roll" | "write" | "tally"} kind  one token; token by token; many at one place, none appended
 * @property {number} wrote  tokens so far
 *
 * @typedef {"more" | "steps" | "paths" | "likely"} Panel
 *
 * @typedef {number | {text: string, at: number | null}} Place  a node, or a text that has no answer yet and the node it came from
 *
 * @typedef {object} State
 * @property {Tree} tree
 * @property {number | null} current  the node whose next token the chart shows; null before the first answer
 * @property {number | null} end  the node at the end of the text, while the chart stands at an earlier place of it
 * @property {string | null} draft  a text that has no answer yet
 * @property {"typing" | "typed" | null} session  typing: since the last move; typed: and an answer has landed since
 * @property {readonly Place[]} past
 * @property {readonly Place[]} future
 * @property {Settings} settings
 * @property {Dice} dice
 * @property {import("./display.js").Display} display
 * @property {readonly import("./slices.js").Pin[]} pins
 * @property {{pin: import("./slices.js").Pin, versus: string | null, at: number | null} | null} unpinned  the last one taken off, and where
 * @property {string | null} versus  name of the pin that the numbers are compared with
 * @property {string} likely  the text whose probability is asked
 * @property {ReadonlyMap<string, import("./slices.js").Spelling>} spellings  of such texts
 * @property {ReadonlyMap<string, import("./slices.js").Told>} told  of their tokens
 * @property {Trouble | null} probeTrouble  why it can't be told
 * @property {import("./slices.js").Linked | null} linked  the tokens a link brought, until they have an answer
 * @property {string | null} linkTrouble  why a link could not be followed, in words
 * @property {Play | null} play  what is being drawn
 * @property {string | null} said  how that ended, in words
 * @property {readonly import("./slices.js").Removed[]} removed  branches deleted, the last one last
 * @property {import("./slices.js").Saved} kept  how much of all this outlives a reload
 * @property {Readonly<Record<Panel, boolean>>} open  which parts of the page are unfolded
 * @property {boolean} held  a control is being dragged; nothing is asked
 * @property {import("./slices.js").Shading} shading  how the text is coloured
 * @property {ReadonlyMap<string, Answer>} answers  by model and token ids, the newest last
 * @property {string | null} drawn  key of the answer last drawn, held while the next is awaited
 * @property {readonly Model[] | null} models  null until the server has told
 * @property {ReadonlyMap<string, {at: number, done: number, rate: number}>} progress  bytes a second of downloads
 * @property {string | null} wish  the model wanted; null for the server's default
 * @property {string | null} model  the model that speaks
 * @property {string | null} lost  why the server can't be reached, in words
 * @property {Trouble | null} trouble
 * @property {{key: string, long: boolean} | null} thinking  the question whose answer takes time
 * @property {{model: string, message: string} | null} loadTrouble
 * @property {import("./slices.js").Reread | null} reread  how another model read the text at hand before
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
    told: new Map(),
    probeTrouble: null,
    linked: null,
    linkTrouble: null,
    play: null,
    said: null,
    removed: [],
    kept: "all",
    open: { more: false, steps: false, paths: false, likely: false },
    held: false,
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

/** @param {string} model @param {readonly number[]} ids @returns {string} under which an answer is kept */
export function answerKey(model, ids) {
  return JSON.stringify([model, ids]);
}

/** @param {State} state @param {string} text @returns {State} the text is typed anew */
export function edit(state, text) {
  if (text === (state.draft ?? textHere(state))) return state;
  const current = ending(state);
  return { ...state, current, end: null, draft: text, linked: null, linkTrouble: null, session: state.session ?? "typing", trouble: null, play: null, said: null };
}

/** @param {State} state @returns {State} typing is over: the next typing is a step of its own for undo */
export function rest(state) {
  return state.session && state.draft === null ? { ...state, session: null } : state;
}

/**
 * The candidate joins the text where the chart stands, if it is one of those the text at hand has there: a click on bars
 * of another text is none.
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
  // The token that the text has here anyway: the chart moves on along the text. Writing leaves the text behind.
  const along = state.end !== null && state.play?.kind !== "write" && tree.leadsTo(grown, id, state.end);
  return along ? stand(next, id) : goTo(next, id);
}

/** @param {Token} token that is none @returns {string} why it did not join the text */
function noneWords({ id }) {
  return `Nothing was appended: id ${id} is no token. The model has a row for it, its tokenizer does not.`;
}

/** @param {State} state @param {number} id @returns {State} the text ends at that node */
export function goTo(state, id) {
  if (id === ending(state) && state.draft === null) return stand(state, id);
  const here = place(state);
  return { ...arrive(state, id), past: here === null ? state.past : [...state.past, here].slice(-MOST_PAST), future: [] };
}

/** @param {State} state @param {number} id on the way to the end @returns {State} the chart stands there; the text stays */
export function stand(state, id) {
  const end = ending(state);
  if (id === state.current && state.draft === null) return state;
  const { model } = tree.node(state.tree, id);
  const key = answerKey(model, tree.tokenIds(state.tree, id));
  const drawn = state.answers.has(key) ? key : state.drawn;
  return { ...state, current: id, end: id === end ? null : end, drawn, trouble: null, play: null, said: null };
}

/** @param {State} state @returns {State} one token less; the token stays on its branch */
export function takeBack(state) {
  if (state.current === null || state.draft !== null) return state;
  const { parent } = tree.node(state.tree, state.current);
  if (parent === null) return state;
  if (state.end !== null) return tree.isFirstMark(state.tree, state.current) ? state : stand(state, parent);
  return state.past.at(-1) === parent ? undo(state) : goTo(state, parent);
}

/** @param {State} state @returns {State} */
export function undo(state) {
  const here = place(state);
  const future = here === null ? state.future : [here, ...state.future];
  // A text that has no answer yet stands on top of the node it came from.
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
  const here = place(state);
  // A text without an answer never became a place of its own: it starts again from here.
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

/** @param {State} state @returns {string} the text at hand, without an unanswered draft */
export function textHere(state) {
  const end = ending(state);
  return end === null ? "" : tree.text(state.tree, end);
}

/** @param {State} state @returns {Place | null} where undo would lead back to */
export function place(state) {
  return state.draft !== null && state.session !== null ? { text: state.draft, at: ending(state) } : ending(state);
}

/** @param {State} state @returns {readonly Place[]} the past, with a text that has no answer yet */
export function pastWithDraft(state) {
  const here = place(state);
  return typeof here === "number" || here === null ? state.past : [...state.past, here].slice(-MOST_PAST);
}

/** @param {State} state @param {Place} to @returns {State} */
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
