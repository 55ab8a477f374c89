/**
 * The guided tour on the current text. Pure: each stop says what to look at, and after the user has tried it, what happened.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices.js").Tour} Tour
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
import { FIRST_TEXT, goTo, textHere, undoStep } from "../../core/state.js";
import { shown } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { start } from "../examples/model.js";
import { guess, present } from "../presentation/model.js";

/** @type {readonly ((state: State) => Stop)[]} */
const STOPS = [text, bars, temperature, dice, back, onward];
export const LENGTH = STOPS.length;

/** @param {State} state @returns {State} with the tour started and everything visible */
export function begin(state) {
  return reach(guess(present(state, false), false), 0);
}

/** @param {State} state @param {number} by @returns {State} one stop forward or back; ends after the last */
export function walk(state, by) {
  if (state.room.tour.at === null) return state;
  const to = state.room.tour.at + by;
  return to >= LENGTH ? end(state) : reach(state, Math.max(0, to));
}

/** @param {State} state @returns {State} on a fresh text; the reader's comes back with the end of the tour */
export function refresh(state) {
  const { tour } = state.room;
  if (tour.at === null || !own(state)) return state;
  const mine = undoStep(state);
  return reach(set(start(state, FIRST_TEXT), { ...tour, own: mine }), tour.at);
}

/** @param {State} state @returns {State} with the tour ended or declined, and the reader's own text back */
export function end(state) {
  const { at, offered, own: mine } = state.room.tour;
  if (at === null && !offered) return state;
  const ended = set(state, { at: null, offered: false, mark: null, own: null });
  if (mine === null) return ended;
  if (typeof mine !== "number") return start(ended, mine.text);
  return ended.tree.nodes.has(mine) ? goTo(ended, mine) : ended;
}

/** @param {State} state @returns {Stop | null} */
export function stop(state) {
  return state.room.tour.at === null ? null : STOPS[state.room.tour.at](state);
}

/** @param {State} state @returns {boolean} whether to offer the tour to a first visitor */
export function offer(state) {
  return state.room.tour.offered && state.room.tour.at === null && state.past.length < 3;
}

/** @param {State} state @param {number} at @returns {State} */
function reach(state, at) {
  const mark = { current: state.current, temperature: state.settings.temperature };
  return set(state, { ...state.room.tour, at, offered: false, mark });
}

/** @param {State} state @returns {boolean} the text is the reader's, not the first or the tour's */
function own(state) {
  const text = state.draft ?? textHere(state);
  return state.room.tour.own === null && text !== "" && text !== FIRST_TEXT;
}

/** @param {State} state @param {Tour} tour @returns {State} */
function set(state, tour) {
  return { ...state, room: { ...state.room, tour } };
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
  const likely = fell?.probability == null ? "" : ` It had ${format.percent(fell.probability)}.`;
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
