/**
 * The status line. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices.js").Model} Model
 *
 * @typedef {object} StatusLine
 * @property {"calm" | "busy" | "bad"} tone
 * @property {string} words  empty if there is nothing to say
 * @property {boolean} brief  gone in a moment
 * @property {number | null} progress  of a download, in [0, 1]
 * @property {{verb: "choose" | "load", model: string, label: string} | null} action
 */
import { wanted } from "../../core/questions.js";
import { COMMON, MODELS, STATUS } from "../../core/words.js";
import { find, offered, reread, standIn, wished } from "../models/model.js";
import { downloaded, first, named, sentence, stateOf } from "../models/words.js";

/** @param {State} state @returns {StatusLine} */
export function statusLine(state) {
  if (state.lost !== null) {
    return { ...calm(STATUS.lost(sentence(state.lost))), tone: "bad" };
  }
  if (state.models === null) return { ...calm(STATUS.connecting), tone: "busy" };
  const want = wished(state);
  if (!want) return { ...calm(STATUS.none), tone: "bad" };
  const speaker = find(state, state.model);
  const answering = speaker?.state === "ready" && speaker !== want ? speaker : undefined;
  if (want.state === "failed") {
    const words = STATUS.failed(first(want.name), sentence(want.reason));
    const action = { verb: /** @type {const} */ ("load"), model: want.name, label: COMMON.again };
    return { ...calm(answering ? `${words} ${STATUS.using(named(answering.name))}` : words), tone: "bad", action };
  }
  if (want.state !== "ready") return waiting(state, want, answering);
  const thinking = thinkingWords(state, speaker);
  if (thinking) return { ...calm(thinking), tone: "busy", brief: true };
  if (offered(state)) {
    const action = { verb: /** @type {const} */ ("choose"), model: want.name, label: STATUS.use(named(want.name)) };
    return { ...calm(readyWords(state)), action };
  }
  return state.saved === "all" ? calm(rereadWords(state)) : { ...calm(`${rereadWords(state)} ${STATUS[state.saved]}`.trim()), tone: "bad" };
}

/** @param {State} state @param {Model | undefined} speaker @returns {string} empty if nothing is slow */
function thinkingWords(state, speaker) {
  if (!speaker || !state.thinking || state.thinking.key !== wanted(state)?.key) return "";
  return (state.thinking.long ? STATUS.long : STATUS.thinking)(first(speaker.name));
}

/** @param {State} state @returns {string} that a model is ready to switch to, or empty */
export function readyWords(state) {
  const model = offered(state);
  const speaker = find(state, state.model);
  return model ? `${STATUS.is(first(model.name), MODELS.ready)} ${speaker ? STATUS.usingUntilSwitch(named(speaker.name)) : ""}`.trim() : "";
}

/** @param {State} state @returns {string} that the text was re-tokenized, or empty */
export function rereadWords(state) {
  const again = reread(state);
  if (!again) return "";
  if (again.now === null) return STATUS.reading(first(String(state.model)));
  const [model, other, count] = [first(String(state.model)), named(again.model), again.now.length];
  const alike = count === again.lengths.length && again.now.every((length, at) => length === again.lengths[at]);
  return alike ? STATUS.alike(model, count, other) : STATUS.read(model, count, again.lengths.length, other);
}

/** @param {State} state @param {Model} want @param {Model | undefined} answering @returns {StatusLine} */
function waiting(state, want, answering) {
  const words = STATUS.is(first(want.name), stateOf(want, state.progress.get(want.name)?.rate));
  const instead = standIn(state);
  return {
    tone: "busy",
    brief: false,
    words: answering ? `${words} ${STATUS.usingUntilThen(named(answering.name))}` : words,
    progress: downloaded(want),
    action: instead ? { verb: "choose", model: instead.name, label: STATUS.meanwhile(named(instead.name)) } : null,
  };
}

/** @param {string} words @returns {StatusLine} */
function calm(words) {
  return { tone: "calm", words, brief: false, progress: null, action: null };
}
