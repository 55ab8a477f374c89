/**
 * Chooses the model. Pure transitions on top of `core/state.js`.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices.js").Model} Model
 * @typedef {import("../../core/slices.js").Reread} Reread
 */
import { wanted } from "../../core/questions.js";
import { FIRST_TEXT, ending, textHere } from "../../core/state.js";
import * as tree from "../../core/tree.js";

/** @param {State} state @param {readonly Model[]} models @param {number} at milliseconds @returns {State} */
export function setModels(state, models, at) {
  const downloading = models.filter((model) => model.state === "downloading");
  const progress = new Map(downloading.map((model) => [model.name, pace(state, model, at)]));
  const { trouble, loadTrouble } = state;
  const speaker = models.find((model) => model.name === state.model);
  const news = state.lost !== null || speaker?.state !== find(state, state.model)?.state;
  const failing = loadTrouble && models.find((model) => model.name === loadTrouble.model)?.state === "failed";
  return settle({
    ...state,
    models,
    progress,
    lost: null,
    trouble: news && trouble?.again ? null : trouble,
    loadTrouble: failing ? loadTrouble : null,
  });
}

/** @param {State} state @param {string} reason @returns {State} while the server is unreachable */
export function lose(state, reason) {
  return state.lost === reason ? state : { ...state, lost: reason, play: null };
}

/** @param {State} state @param {string} name @returns {State} with that model chosen; it is used once ready */
export function choose(state, name) {
  const wishing = { ...state, wish: name, linked: null };
  return find(state, name)?.state === "ready" && state.model !== name ? speak(wishing, name) : wishing;
}

/** @param {State} state @param {string} model @param {string} message @returns {State} */
export function failLoad(state, model, message) {
  return { ...state, loadTrouble: { model, message } };
}

/** @param {State} state @param {string | null} name @returns {Model | undefined} */
export function find(state, name) {
  return state.models?.find((model) => model.name === name);
}

/** @param {State} state @returns {Model | undefined} the chosen model, or the default */
export function wished(state) {
  return find(state, state.wish) ?? state.models?.find((model) => model.isDefault) ?? state.models?.[0];
}

/** @param {State} state @returns {Model | undefined} a ready model that waits for the user to switch */
export function offered(state) {
  const model = wished(state);
  return model?.state === "ready" && state.model !== null && model.name !== state.model ? model : undefined;
}

/** @param {State} state @returns {Model | undefined} the demo model, if it can be used meanwhile */
export function standIn(state) {
  const speaking = find(state, state.model);
  const bundled = find(state, "bundled");
  return speaking?.state !== "ready" && bundled?.state === "ready" ? bundled : undefined;
}

/**
 * Updates the model in use. A typed text switches to the chosen model automatically; one that was built token by token waits
 * for the user.
 * @param {State} state @returns {State}
 */
function settle(state) {
  const want = wished(state);
  if (want?.state === "ready" && want.name !== state.model && movable(state)) return speak(state, want.name);
  const instead = standIn(state);
  const unanswered = state.draft !== null || wanted({ ...state, dragging: false }, true) !== null;
  const unknown = state.model !== null && !find(state, state.model);
  if (instead && (state.model === null || unknown || (movable(state) && unanswered))) return speak(state, instead.name);
  return state;
}

/** @param {State} state @returns {boolean} the current text was typed, with no tokens picked since */
function movable(state) {
  const end = ending(state);
  return state.draft !== null || end === null || tree.node(state.tree, end).typed !== null;
}

/** @param {State} state @returns {(Reread & {now: readonly number[] | null}) | null} until the next step; `now`, lengths too, once it is tokenized */
export function reread(state) {
  const { reread: before, current, draft } = state;
  if (!before || before.model === state.model || before.text !== (draft ?? textHere(state))) return null;
  if (draft !== null) return { ...before, now: null };
  const { model, typed } = tree.node(state.tree, /** @type {number} */ (current));
  return model === state.model && typed === before.text ? { ...before, now: lengths(state, /** @type {number} */ (current)) } : null;
}

/** @param {State} state @param {number} end @returns {number[]} of the tokens up to it, in bytes; special ones have 0 */
function lengths(state, end) {
  return tree.path(state.tree, end).map(({ token }) => (token && !token.special ? token.bytes.length : 0));
}

/** @param {State} state @param {string} name @returns {State} with the text to be re-tokenized by that model */
function speak(state, name) {
  const draft = state.draft ?? (state.current === null ? FIRST_TEXT : textHere(state));
  const end = ending(state);
  const read = state.draft === null && end !== null ? tree.node(state.tree, end).model : null;
  const reread = read === null ? state.reread : { model: read, text: draft, lengths: lengths(state, /** @type {number} */ (end)) };
  return { ...state, model: name, current: end, end: null, draft, base: state.draft === null ? end : state.base, reread, session: state.draft === null ? null : state.session, trouble: null, play: null, said: null };
}

/** @param {State} state @param {Model} model @param {number} at @returns {{at: number, done: number, rate: number}} */
function pace(state, model, at) {
  const before = state.progress.get(model.name);
  const now = { at, done: model.bytesDone, rate: 0 };
  if (!before || model.bytesDone < before.done) return now;
  const seconds = (at - before.at) / 1000;
  if (seconds < 0.5) return before;
  const rate = (model.bytesDone - before.done) / seconds;
  return { ...now, rate: before.rate ? 0.7 * before.rate + 0.3 * rate : rate };
}
