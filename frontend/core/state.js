/**
 * The transitions of the page's state. Pure: each returns a new state; times are passed in.
 *
 * @typedef {import("./initial.js").State} State
 * @typedef {import("./initial.js").UndoStep} UndoStep
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
 */
import { scoreOfNext } from "./beginning.js";
import { noToken } from "./tokens.js";
import * as tree from "./tree.js";
import { NONE } from "./words.js";

export { FIRST_TEXT, initial } from "./initial.js";

export const MOST_PAST = 1000;

/** @param {string} model @param {readonly number[]} ids @returns {string} the answer's key in `answers` */
export function answerKey(model, ids) {
  return JSON.stringify([model, ids]);
}

/** @param {State} state @param {string} text @returns {State} with the text as edited */
export function edit(state, text) {
  if (text === (state.draft ?? textHere(state))) return state;
  const current = ending(state);
  const base = state.session ? state.base : state.draft === null ? current : null;
  const told = state.session === null ? null : state.session === "typed" && state.draft === null ? textHere(state) : state.told;
  return { ...state, current, end: null, draft: text, base, told, linked: null, linkTrouble: null, session: state.session ?? "typing", trouble: null, play: null, said: null };
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
  if (noToken(candidate.token)) return { ...state, play: null, said: NONE.appended(candidate.token.id) };
  const known = { probability: raw, rank: candidate.rank, score: scoreOfNext(state, answer, candidate) };
  const [grown, id] = tree.extend(state.tree, state.current, candidate.token, known);
  // The text's own token: the chart moves along the text. Generating starts a new branch instead.
  const along = state.end !== null && state.play?.kind !== "write" && tree.leadsTo(grown, id, state.end);
  return along ? stand({ ...state, tree: grown }, id) : goTo({ ...state, tree: tree.change(grown, id, tree.PICKED) }, id);
}

/** @param {State} state @param {number} id @returns {State} with the text ending at that node */
export function goTo(state, id) {
  if (!state.tree.nodes.has(id)) return state; // removed since it was drawn
  if (id === ending(state) && state.draft === null) return stand(state, id);
  const here = undoStep(state);
  return { ...arrive(state, id), past: here === null ? state.past : [...state.past, here].slice(-MOST_PAST), future: [] };
}

/** @param {State} state @param {number} id in the current text @returns {State} with the chart there and the text unchanged */
export function stand(state, id) {
  const end = ending(state);
  if (!state.tree.nodes.has(id) || (id === state.current && state.draft === null)) return state; // removed since it was drawn
  const { model } = tree.node(state.tree, id);
  const key = answerKey(model, tree.tokenIds(state.tree, id));
  const drawn = state.answers.has(key) ? key : state.drawn;
  return { ...state, current: id, end: id === end ? null : end, base: null, drawn, trouble: null, play: null, said: null };
}

/** @param {State} state @returns {State} with the last token removed; it stays on its branch */
export function takeBack(state) {
  if (state.current === null || state.draft !== null || (state.frame.surface === "chat" && state.chat.talks.has(state.current))) return state;
  const { parent } = tree.node(state.tree, state.current);
  if (parent === null) return state;
  if (state.end !== null) return tree.isFirstMark(state.tree, state.current) ? state : stand(state, parent);
  return state.past.at(-1) === parent ? undo(state) : goTo(state, parent);
}

/** @param {State} state @returns {State} */
export function undo(state) {
  const here = undoStep(state);
  const future = here === null ? state.future : [here, ...state.future];
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
  // A draft without an answer never became a node.
  const past = here === null || typeof next !== "number" ? state.past : [...state.past, here];
  return { ...arrive(state, next), past, future };
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
  const fresh = { base: null, linked: null, linkTrouble: null, trouble: null, play: null, said: null };
  if (typeof to !== "number") {
    const under = to.at !== null && state.tree.nodes.has(to.at) ? to.at : ending(state);
    return { ...state, ...fresh, base: under, current: under, end: null, draft: to.text, session: "typing" };
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
