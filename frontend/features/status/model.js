/**
 * The status line. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices.js").Model} Model
 *
 * @typedef {object} StatusLine
 * @property {"calm" | "busy" | "bad"} tone
 * @property {string} words
 * @property {number | null} progress  of a download, in [0, 1]
 * @property {{verb: "choose" | "load", model: string, label: string} | null} action
 */
import * as format from "../../core/format.js";
import { wanted } from "../../core/questions.js";
import { find, offered, reread, standIn, wished } from "../models/model.js";
import { downloaded, factsOf, first, named, sentence, stateOf } from "../models/words.js";

const UNSAVED = {
  way: "Browser storage is full: a reload keeps this text, but not the other paths.",
  text: "Browser storage is full: a reload keeps only this text’s characters.",
  nothing: "Browser storage is full or blocked; reloading loses your work.",
};

/** @param {State} state @returns {StatusLine} */
export function statusLine(state) {
  if (state.lost !== null) {
    return { ...calm(`${sentence(state.lost)} Your text is kept; this page reconnects by itself.`), tone: "bad" };
  }
  if (state.models === null) return { ...calm("Connecting to the server…"), tone: "busy" };
  const want = wished(state);
  if (!want) return { ...calm("The server offers no model."), tone: "bad" };
  const speaker = find(state, state.model);
  const answering = speaker?.state === "ready" && speaker !== want ? speaker : undefined;
  if (want.state === "failed") {
    const words = `${first(want.name)} can’t be used. ${sentence(want.reason)}`;
    const action = { verb: /** @type {const} */ ("load"), model: want.name, label: "Try again" };
    return { tone: "bad", words: answering ? `${words} ${first(answering.name)} answers.` : words, progress: null, action };
  }
  if (want.state !== "ready") return waiting(state, want, answering);
  const thinking = thinkingWords(state, speaker);
  if (thinking) return { ...calm(thinking), tone: "busy" };
  if (offered(state)) {
    const action = { verb: /** @type {const} */ ("choose"), model: want.name, label: `Use ${named(want.name)}` };
    return { ...calm(readyWords(state)), action };
  }
  const words = `${first(want.name)} answers${want.facts ? ` (${factsOf(want)})` : ""}. ${rereadWords(state)}`.trim();
  return state.saved === "all" ? calm(words) : { ...calm(`${words} ${UNSAVED[state.saved]}`), tone: "bad" };
}

/** @param {State} state @param {Model | undefined} speaker @returns {string} empty if nothing is slow */
function thinkingWords(state, speaker) {
  if (!speaker || !state.thinking || state.thinking.key !== wanted(state)?.key) return "";
  const long = "is still thinking: the text is long, or its server is busy. Your text is kept.";
  return `${first(speaker.name)} ${state.thinking.long ? long : "is thinking…"}`;
}

/** @param {State} state @returns {string} that a model is ready to switch to, or empty */
export function readyWords(state) {
  const model = offered(state);
  const speaker = find(state, state.model);
  return model ? `${first(model.name)} is ready. ${speaker ? `${first(speaker.name)} answers until you switch.` : ""}`.trim() : "";
}

/** @param {State} state @returns {string} that the text was re-tokenized, or empty */
export function rereadWords(state) {
  const again = reread(state);
  if (!again) return "";
  if (again.now === null) return "It re-tokenizes the text.";
  const tokens = (/** @type {number} */ number) => (number === 1 ? "1 token" : `${format.count(number)} tokens`);
  return `It re-tokenized the text: ${tokens(again.now)}, ${tokens(again.count)} with ${named(again.model)}.`;
}

/** @param {State} state @param {Model} want @param {Model | undefined} answering @returns {StatusLine} */
function waiting(state, want, answering) {
  const words = `${first(want.name)} is ${stateOf(want, state.progress.get(want.name)?.rate)}.`;
  const instead = standIn(state);
  return {
    tone: "busy",
    words: answering ? `${words} ${first(answering.name)} answers until then.` : words,
    progress: downloaded(want),
    action: instead ? { verb: "choose", model: instead.name, label: `Use ${named(instead.name)} meanwhile` } : null,
  };
}

/** @param {string} words @returns {StatusLine} */
function calm(words) {
  return { tone: "calm", words, progress: null, action: null };
}
