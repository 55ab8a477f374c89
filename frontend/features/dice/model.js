/**
 * Sampling tokens: the most likely, one roll, 100 rolls, or generating. Pure transitions on top of `core/state.js`; the
 * random numbers come from `core/draws.js`, and the server maps them to tokens.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Play} Play
 * @typedef {import("../../core/distribution.js").Candidate} Candidate
 */
import { atOne } from "../../core/distribution.js";
import { draws } from "../../core/draws.js";
import { answerHere, scene, wanted } from "../../core/questions.js";
import { append } from "../../core/state.js";
import { noToken, shown } from "../../core/tokens.js";
import { DICE } from "../../core/words.js";
import { find } from "../models/model.js";

/** @param {State} state @returns {State} the most likely token is appended */
export function mostLikely(state) {
  const now = scene(state);
  const rows = now && !now.stale ? now.drawing.rows : [];
  const first = rows.find(({ candidate, fell }) => !fell && !noToken(candidate.token)) ?? rows[0];
  return first ? append(state, first.candidate, Number.isNaN(first.raw) ? null : first.raw) : state;
}

/** @param {State} state @param {Play["kind"]} kind @param {number} seed to use if each roll has a new one @returns {State} */
export function begin(state, kind, seed) {
  if (kind === "roll" && state.play?.kind === "roll") return land(state);
  if (state.current === null || state.draft !== null || state.lost !== null) return state;
  const dice = state.dice.fresh ? { ...state.dice, seed } : state.dice;
  return { ...state, dice, play: { kind, wrote: 0 }, said: null, trouble: null };
}

/** @param {State} state @returns {State} stopped by the user */
export function stop(state) {
  if (!state.play) return state;
  const { kind, wrote } = state.play;
  return { ...state, play: null, said: kind === "write" ? DICE.stopped(wrote) : null };
}

/** @param {State} state @returns {{candidate: Candidate, at: number} | null} where the dart landed, in [0, 1) of the kept probability */
export function dart(state) {
  if (!state.play || state.play.kind === "tally") return null;
  const answer = answerToDraws(state);
  return answer && { candidate: answer.drawn[0], at: answer.draws[0] };
}

/** @param {State} state @returns {ReadonlyMap<number, number> | null} how often each token was drawn, by id */
export function tally(state) {
  const answer = state.play?.kind === "tally" ? answerToDraws(state) : null;
  if (!answer) return null;
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const { token } of answer.drawn) counts.set(token.id, (counts.get(token.id) ?? 0) + 1);
  return counts;
}

/** @param {State} state @returns {State} the drawn token is appended; generating goes on, or says why not */
export function land(state) {
  const fell = dart(state);
  const answer = answerHere(state);
  if (!fell || !answer || !state.play) return state;
  if (noToken(fell.candidate.token)) return miss(state, fell.candidate.token);
  const raw = atOne(answer)(fell.candidate);
  const grown = append(state, fell.candidate, Number.isNaN(raw) ? null : raw);
  if (grown === state || state.play.kind === "roll") return grown;
  // All that is generated in one go is one undo step.
  const next = state.play.wrote ? { ...grown, past: state.past } : grown;
  const wrote = state.play.wrote + 1;
  const end = endOf(state, fell.candidate, answer);
  return end ? { ...next, said: `${end} ${DICE.generated(wrote)}` } : { ...next, play: { kind: "write", wrote } };
}

/** @param {State} state @returns {string} the status of sampling */
export function playWords(state) {
  const { play, said, dice } = state;
  if (!play) return said ?? "";
  const fell = dart(state);
  if (play.kind === "write") return DICE.generating(play.wrote);
  if (play.kind === "roll") {
    if (!fell) return "";
    const { token, rank, probability } = fell.candidate;
    return DICE.landed(fell.at, shown(token), rank, probability);
  }
  const counts = tally(state);
  const rows = scene(state)?.drawing.rows ?? [];
  if (!counts) return "";
  const among = rows.reduce((total, row) => total + (counts.get(row.candidate.token.id) ?? 0), 0);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return DICE.tallied(total, dice.seed, among);
}

/** @param {State} state @returns {ReturnType<typeof answerHere>} the current answer, once it includes the draws */
function answerToDraws(state) {
  const answer = answerHere(state);
  const asked = draws(state);
  const fits = asked.length > 0 && asked.every((draw, at) => answer?.draws[at] === draw);
  return fits && wanted(state, true) === null ? answer : null;
}

/** @param {State} state @param {import("../../core/tokens.js").Token} token without text @returns {State} nothing is appended, and generating ends */
function miss(state, token) {
  const { kind, wrote } = /** @type {Play} */ (state.play);
  const fell = DICE.missed(shown(token));
  return { ...state, play: null, said: kind === "write" ? `${fell} ${DICE.generated(wrote)}` : fell };
}

/** @param {State} state @param {Candidate} candidate @param {import("../../core/distribution.js").Answer} answer @returns {string | null} why generating ends after it */
function endOf(state, { token }, { model, tokenCount, contextLimit: limit }) {
  if (find(state, model)?.facts?.endOfTextIds.includes(token.id)) return DICE.ended(shown(token));
  return limit > 0 && tokenCount + 1 >= limit ? DICE.full(limit) : null;
}
