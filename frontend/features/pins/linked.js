/**
 * Pins that a link names: their numbers are asked from the server, so they are true whatever the link says. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Question} Question
 * @typedef {import("../../core/slices.js").Pin} Pin
 *
 * @typedef {object} LinkedPin
 * @property {string} name
 * @property {string} model
 * @property {number[]} ids  of its prompt
 * @property {import("../../core/settings.js").Settings} settings
 */
import { BREADTH } from "../../core/questions.js";
import { answerKey } from "../../core/state.js";
import { textOf } from "../../core/tokens.js";
import { PINS } from "../../core/words.js";
import { deepen, ending, idsOf, known } from "./model.js";

/** @param {readonly Pin[]} pins @returns {LinkedPin[]} */
export function toLink(pins) {
  return pins.map((pin) => ({ name: pin.name, model: pin.model, ids: idsOf(pin), settings: pin.settings }));
}

/** @param {readonly LinkedPin[]} linked @returns {Pin[]} whose numbers are to be asked */
export function fromLink(linked) {
  return linked.map(({ name, model, ids, settings }) => {
    return { name, model, key: answerKey(model, ids), text: "", prompt: "", settings, cells: [], whole: false, entropyBits: 0, trouble: null };
  });
}

/** @param {State} state @returns {Question | null} about the first pin without numbers whose model is ready */
export function wantedPin({ pins, models, lost }) {
  const ready = (/** @type {Pin} */ pin) => models?.find(({ name }) => name === pin.model)?.state === "ready";
  const pin = lost === null ? pins.find((each) => !known(each) && each.trouble === null && ready(each)) : undefined;
  if (!pin) return null;
  const size = models?.find(({ name }) => name === pin.model)?.facts?.vocabSize || BREADTH;
  const settings = { ...pin.settings, topK: Math.min(size, Math.max(BREADTH, pin.settings.topK)) };
  return { key: pin.key, model: pin.model, text: null, tokenIds: idsOf(pin), parts: null, runs: [], settings, draws: [], watch: [], whole: true };
}

/** @param {State} state @param {Question} question @param {import("../../core/distribution.js").Answer} answer @returns {State} */
export function receivePin(state, question, answer) {
  const answers = new Map(state.answers).set(question.key, answer);
  const prompt = textOf(answer.promptTokens);
  const pins = state.pins.map((pin) => (pin.key === question.key && !known(pin) ? { ...pin, prompt, text: ending(prompt) } : pin));
  return deepen({ ...state, answers, pins }, true);
}

/** @param {State} state @param {import("../../core/state.js").Trouble} trouble @returns {State} */
export function failPin(state, trouble) {
  return { ...state, pins: state.pins.map((pin) => (pin.key === trouble.key && !known(pin) ? { ...pin, trouble: trouble.message } : pin)) };
}

/** @param {State} state @returns {State} with the failed ones asked again */
export function retryPins(state) {
  return { ...state, pins: state.pins.map((pin) => (pin.trouble === null ? pin : { ...pin, trouble: null })) };
}

/** @param {Pick<State, "models">} state @param {Pin} pin @returns {string} why its numbers are not there; empty if they are */
export function missingWords({ models }, pin) {
  if (known(pin)) return "";
  if (pin.trouble !== null) return pin.trouble;
  const state = models?.find(({ name }) => name === pin.model)?.state;
  if (models && state === undefined) return PINS.elsewhere;
  return state === "failed" ? PINS.failed : PINS.loading;
}
