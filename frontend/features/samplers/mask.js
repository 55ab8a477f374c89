/**
 * The mask among the sampler steps: what it holds the text to, from which token on, and what it says. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices.js").Trouble} Trouble
 */
import * as format from "../../core/format.js";
import { answerHere, scene } from "../../core/questions.js";
import { ending } from "../../core/state.js";
import { shown } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { faultOf, placeOf } from "./forms.js";
import { changed, lefts, stepOf } from "./model.js";
import { MASK } from "./words.js";

const FIELD = "mask"; // of a trouble that is told in the page’s words

/** @param {State} state @returns {State} the mask begins where the chart stands */
export function beginHere(state) {
  return changed(state, "mask", { from: placeOf(state), on: true, lost: false });
}

/** @param {State} state @param {Partial<import("./forms.js").Form>} changes @returns {State} writing switches it on, where the chart stands */
export function write(state, changes) {
  const { form, on, from } = stepOf(state, "mask");
  return changed(state, "mask", { form: /** @type {any} */ ({ ...form, ...changes }), on: true, from: on ? from : placeOf(state), lost: false });
}

/** @param {State} state @returns {string} from where on it holds */
export function placeWords(state) {
  const { from, on, lost } = stepOf(state, "mask");
  const place = placeOf(state);
  if (lost) return MASK.lost;
  if (!on) return "";
  if (typeof from !== "number" || place === null || from === place) return MASK.next;
  if (from > place) return MASK.later(from + 1);
  const end = ending(state);
  const token = end === null ? null : tree.path(state.tree, end)[from]?.token;
  return MASK.since(from + 1, token ? shown(token) : "");
}

/** @param {State} state @returns {boolean} it could begin where the chart stands instead */
export function canBegin(state) {
  const { from, on, lost } = stepOf(state, "mask");
  return lost === true || (on && from !== placeOf(state));
}

/** @param {State} state @returns {string} what is wrong with it, or empty */
export function troubleWords({ trouble, ...state }) {
  const { form, wire, on } = stepOf(/** @type {State} */ (state), "mask");
  const fault = form ? faultOf(form) : "";
  return fault || !on || !wire || trouble?.field !== FIELD ? fault : trouble.message;
}

/** @param {Trouble} trouble @returns {Trouble} in the words of the page, if it is about a mask */
export function toldOf(trouble) {
  const { field, message } = trouble;
  const told = (/** @type {string} */ words) => ({ ...trouble, field: FIELD, message: words });
  if (field === "constrained_from") {
    const found = /the token at index [\d,]+, (.*), is not$/.exec(message);
    return told(found ? MASK.forbids(found[1].slice(1, -1)) : format.beside(message, field));
  }
  if (field !== "samplers" || !/\bmask\b/.test(message)) return trouble;
  return told(message.endsWith("(mask) leaves no token that may come next") ? MASK.ended : format.beside(message, field));
}

/** @param {State} state @returns {string} that the text is complete, or empty */
export function endWords(state) {
  const now = scene(state);
  const answer = answerHere(state);
  const left = lefts(state).get("mask");
  if (!now || !answer || !left) return "";
  const ends = new Set(state.models?.find(({ name }) => name === answer.model)?.facts?.endOfTextIds ?? []);
  const kept = [...answer.candidates, ...(answer.sampling?.likeliest ?? [])].filter(({ sampled }) => sampled && sampled.fell === null);
  const end = kept.some(({ token }) => ends.has(token.id));
  // Where a text may end, every end-of-text token stays.
  return !end ? "" : left.count <= ends.size && kept.every(({ token }) => ends.has(token.id)) ? MASK.end : MASK.mayEnd;
}
