/**
 * Derives from the state what to request from the server, and what to display meanwhile. Pure.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./cuts.js").CutDrawing} Drawing
 *
 * @typedef {object} Question
 * @property {string} key  equal for equal questions
 * @property {string} model
 * @property {string | null} text  the typed text, or
 * @property {number[] | null} tokenIds  the tokens so far, or
 * @property {import("./editing.js").Part[] | null} parts  both in turn, after an edit
 * @property {readonly import("./tree.js").Run[]} runs  which tokens of the answer come from typed text
 * @property {import("./settings.js").Settings} settings
 * @property {readonly number[]} draws  random numbers, each of which samples one token
 * @property {number} [coin]  decides whether XTC acts, if a token is drawn
 * @property {readonly number[]} watch  ids to report whatever their rank
 * @property {boolean} whole  request the prompt's tokens too
 * @property {boolean} [literal]  names of special tokens in its text are plain characters
 *
 * @typedef {object} Scene
 * @property {Drawing} drawing
 * @property {boolean} stale  it belongs to an earlier text or temperature
 */
import { answersSteps, asked, settingsAt } from "./chain.js";
import { talking } from "./chat.js";
import { cut } from "./cuts.js";
import { redraw } from "./distribution.js";
import { coin, draws } from "./draws.js";
import { compose } from "./editing.js";
import { showing } from "./frame.js";
import { chosen, watched } from "./lookback.js";
import { answerKey, textHere } from "./state.js";
import * as tree from "./tree.js";

/** @type {{simulate: (answer: Answer, settings: import("./settings.js").Settings, own: readonly import("./distribution.js").Candidate[]) => Drawing | null}} what steps do, as far as the page can say; loaded with the first answer that has some */
export const steps = { simulate: () => null };
export const BREADTH = 200; // candidates to request when filters or comparisons are in use, so cutoffs fall among them

/**
 * @param {State} state
 * @param {boolean} [even] even if no model is ready
 * @returns {Question | null} null if there is nothing to request
 */
export function wanted(state, even = false) {
  const { model } = state;
  if (model === null || state.dragging || talking(state)) return null;
  /** @type {Question} */
  const question = { key: "", model, text: state.draft, tokenIds: null, settings: state.settings, parts: null, runs: [], draws: draws(state), coin: coin(state), watch: [], whole: true };
  if (state.draft !== null && state.linked?.model === model) {
    Object.assign(question, { text: null, tokenIds: state.linked.ids });
  } else if (state.draft !== null) {
    const { parts, runs } = edited(state) ?? { parts: [state.draft], runs: [{ text: state.draft, start: 0, end: undefined }] };
    question.literal = state.literal;
    const [first] = parts;
    const alone = parts.length === 1;
    Object.assign(question, {
      text: alone && typeof first === "string" ? first : null,
      tokenIds: alone && typeof first !== "string" ? first : null,
      parts: alone ? null : parts,
      runs,
    });
  } else if (state.draft === null) {
    if (state.current === null) return null;
    question.whole = false;
    question.watch = watched(state);
    question.tokenIds = tree.tokenIds(state.tree, state.current);
  }
  let settings = settingsAt(state.settings, question.tokenIds?.length ?? NaN);
  if (showing(state, "settings") || state.pins.length || asked(settings)) settings = { ...settings, topK: Math.max(breadth(state), settings.topK) };
  question.settings = settings;
  const answer = answerHere(state);
  if (answer && answers(answer, question)) return null;
  question.key = JSON.stringify([model, question.text, question.tokenIds, question.parts, settings, question.draws, question.coin, question.watch, question.literal]);
  if (even) return question;
  const ready = state.models?.find((each) => each.name === model)?.state === "ready";
  return ready && state.lost === null && state.trouble?.key !== question.key ? question : null;
}

/** @param {State} state @returns {import("./editing.js").Composed | null} the text as made from the one it was edited from; null if it is a new one */
export function edited(state) {
  const { tree: all, base, model, models, draft } = state;
  if (base === null || !all.nodes.has(base) || tree.node(all, base).model !== model) return null;
  const front = models?.find((each) => each.name === model)?.facts?.prefixTokenIds ?? [];
  return compose(all, base, draft ?? textHere(state), front);
}

/** @param {State} state @returns {number} at most the vocabulary size */
function breadth({ models, model }) {
  return Math.min(BREADTH, models?.find((each) => each.name === model)?.facts?.vocabSize || BREADTH);
}

/** @param {State} state @returns {import("./settings.js").Settings} as they are where the chart stands */
export function settingsHere({ settings, tree: all, current }) {
  return settings.chain && current !== null ? settingsAt(settings, tree.path(all, current).length) : settings;
}

/** @param {State} state @returns {Answer | null} the answer for the current text, at any temperature */
export function answerHere(state) {
  if (state.draft !== null || state.current === null) return null;
  const { model } = tree.node(state.tree, state.current);
  return state.answers.get(answerKey(model, tree.tokenIds(state.tree, state.current))) ?? null;
}

/** @param {Pick<State, "room" | "draft" | "current" | "play">} state @returns {boolean} the next token is hidden for guessing, unless the model generates */
export function hidden({ room, draft, current, play }) {
  return room.guessing && play?.kind !== "write" && (draft !== null || room.seen !== current);
}

/** @param {State} state @returns {Scene | null} what the chart shows; null before the first answer and while hidden */
export function scene(state) {
  if (hidden(state)) return null;
  const settings = settingsHere(state);
  const here = answerHere(state);
  const answer = here ?? (state.drawn === null ? null : state.answers.get(state.drawn));
  if (!answer) return null;
  // The text's own token gets a bar, whatever its rank.
  const id = here ? chosen(state)?.token?.id : undefined;
  const own = [...answer.candidates, ...answer.watched].filter(({ token }) => token.id === id).slice(0, 1);
  const stepped = asked(settings) !== null;
  const simulated = stepped && here && !answersSteps(here, settings) ? steps.simulate(here, settings, own) : null;
  if (simulated) return { drawing: simulated, stale: false };
  const temperature = stepped ? answer.temperature : settings.temperature;
  const likeliest = stepped ? (answer.sampling?.likeliest ?? []).slice(0, settings.topK) : [];
  const also = [...own, ...likeliest.filter(({ token }) => token.id !== id)];
  const drawing = redraw(answer, temperature, settings.topK, also);
  if (drawing && stepped) return { drawing: cut(answer, drawing, temperature, settings), stale: here === null || !answersSteps(answer, settings) };
  if (drawing) return { drawing: cut(answer, drawing, temperature, settings), stale: here === null };
  // The nearest temperature that can be computed, so dragging never jumps back.
  const nearest = temperature < answer.temperature ? Math.min(answer.temperature, 1 / (answer.partition.at(-1)?.b ?? 0)) : answer.temperature;
  const held = redraw(answer, nearest, settings.topK);
  return held && { drawing: cut(answer, held, nearest, settings), stale: true };
}

/** @param {State} state @returns {import("./cuts.js").CutRow | null} the bar in focus, which the inspector follows: the first one unless another was chosen */
export function rowInFocus(state) {
  const rows = scene(state)?.drawing.rows ?? [];
  return rows.find(({ candidate }) => candidate.token.id === state.frame.bar) ?? rows[0] ?? null;
}

/** @param {Answer} answer @param {Pick<Question, "settings" | "draws" | "watch" | "coin">} question @returns {boolean} the answer is exactly for these settings */
function answers(answer, { settings, draws, watch, coin }) {
  const enough = answer.topK >= settings.topK || answer.candidates.length >= answer.vocabSize;
  const plain = asked(settings) === null && /** @type {const} */ (["temperature", "topP", "minP"]).every((name) => answer[name] === settings[name]);
  const same = answersSteps(answer, settings) && (answer.sampling ? answer.sampling.coin === coin : plain);
  const seen = watch.every((id) => [...answer.candidates, ...answer.watched].some(({ token }) => token.id === id));
  return Boolean(enough && same && seen) && draws.every((draw, at) => answer.draws[at] === draw);
}
