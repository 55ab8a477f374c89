/**
 * The stops of the tour: each says what to look at, and after the user has tried it, what happened. Loaded once the tour
 * begins. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 *
 * @typedef {object} Stop
 * @property {string} target  id of the element it is about
 * @property {string} title
 * @property {string} words
 * @property {boolean} tried  the user has done what the stop asks, if anything
 * @property {boolean} [fresh]  it offers a fresh text
 */
import * as format from "../../core/format.js";
import { scene } from "../../core/questions.js";
import { shown } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { own } from "./walk.js";

/** @type {readonly ((state: State) => Stop)[]} */
const STOPS = [text, bars, temperature, dice, back, onward];

/** @param {State} state @returns {Stop | null} */
export function stop(state) {
  return state.room.tour.at === null ? null : STOPS[state.room.tour.at](state);
}

/** @param {State} state @returns {Stop} */
function text(state) {
  const nodes = wayHere(state);
  const first = nodes.slice(-3).map(({ token }) => shown(/** @type {any} */ (token)));
  const count = format.tokens(nodes.length);
  const now = nodes.length ? ` Yours is ${count} long and ends in ${first.join(" ")}.` : "";
  return {
    target: "prompt",
    title: "The text",
    words: `A language model reads text in pieces, called tokens: a word, a part of one, a comma.${now} ${
      own(state) ? "Take the tour on it, or on a fresh text: yours comes back at the end." : "You can type another text at any time."
    }`,
    tried: true,
    fresh: own(state),
  };
}

/** @param {State} state @returns {Stop} */
function bars(state) {
  const picked = latest(state);
  const now = scene(state);
  const best = now && !now.stale ? now.drawing.rows[0] : undefined;
  const tried = moved(state) && picked !== null;
  const likely = picked?.probability == null ? "" : `, which the model had given ${format.percent(picked.probability)}`;
  const words = tried
    ? `You picked ${shown(/** @type {any} */ (picked.token))}${likely}. It joined the text, and the bars now show what might follow it.`
    : `Each bar is a token that might come next. ${
        best ? `Here ${shown(best.candidate.token)} leads with ${format.percent(best.share)}: of 100 tries, about ${tries(best.share)} would go on with it.` : ""
      } Pick a bar: click it, or press its digit.`;
  return { target: "chart", title: "The bars", words, tried };
}

/** @param {State} state @returns {Stop} */
function temperature(state) {
  const { settings, room } = state;
  const tried = settings.temperature !== room.tour.mark?.temperature;
  const row = scene(state)?.drawing.rows[0];
  const changed = row && !Number.isNaN(row.raw) && settings.temperature !== 1;
  const words = tried
    ? `At ${settings.temperature}${row ? ` the first bar has ${format.percent(row.share)}` : ""}${
        changed ? `; as the model itself said, at 1, it had ${format.percent(row.raw)}` : ""
      }. Low temperatures favour the favourites, high ones even them out.`
    : "The temperature says how adventurous the choice is. Drag it left and right, and watch the bars change.";
  return { target: "controls", title: "The temperature", words, tried };
}

/** @param {State} state @returns {Stop} */
function dice(state) {
  const fell = latest(state);
  const tried = moved(state) && fell !== null;
  const before = state.settings.temperature === 1 ? "" : ", before temperature";
  const likely = fell?.probability == null ? "" : ` The model had given it ${format.percent(fell.probability)}${before}.`;
  const words = tried
    ? `It landed on ${shown(/** @type {any} */ (fell.token))}.${likely} Chatting with a model is just this, over and over: bars, a roll, one more token.`
    : "A model does not choose: a program rolls dice, and long bars are hit more often. Press Roll, and see where the dart lands.";
  return { target: "actions", title: "The dice", words, tried };
}

/** @param {State} state @returns {Stop} */
function back(state) {
  const tried = moved(state) && state.current !== null && tree.node(state.tree, state.current).latest !== null;
  const words = tried
    ? "The token left the text but is not gone: it stays after it, dashed, and under Paths with everything else you tried."
    : "Nothing you do here is final. Undo, or the left arrow key, removes the last token. Try it.";
  return { target: "prompt", title: "Back again", words, tried };
}

/** @returns {Stop} */
function onward() {
  return {
    target: "examples-open",
    title: "From here on",
    words: "Examples holds texts and conversations that each show something. In the menu next to it, “What am I looking at?” explains every number on the page. Have fun.",
    tried: true,
  };
}

/** @param {State} state @returns {boolean} the text has changed since the stop was reached, and has an answer */
function moved(state) {
  const now = scene(state);
  return state.draft === null && state.current !== state.room.tour.mark?.current && now !== null && !now.stale;
}

/** @param {State} state @returns {tree.Node | null} the last token, if it was picked */
function latest(state) {
  const node = wayHere(state).at(-1);
  return node && node.typed === null && node.rank !== null ? node : null;
}

/** @param {State} state @returns {tree.Node[]} */
function wayHere(state) {
  return state.current === null ? [] : tree.path(state.tree, state.current);
}

/** @param {number} share @returns {string} how many of 100 */
function tries(share) {
  const count = Math.round(share * 100);
  return count < 1 ? "none" : String(count);
}
