/**
 * Screen reader announcements: the result of each step, and server status. Progress and dragging are not announced.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import * as format from "../../core/format.js";
import { answerHere, hidden, scene } from "../../core/questions.js";
import { spoken } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { ANNOUNCER } from "../../core/words.js";
import { setText } from "../../ui/dom.js";
import { playWords } from "../dice/model.js";
import { placeWords } from "../lookback/model.js";
import { find, offered, wished } from "../models/model.js";
import { named } from "../models/words.js";
import { readyWords, rereadWords, statusLine } from "../status/model.js";

/** @returns {Element | null} what has the focus */
const focused = () => document.activeElement;

/** @param {HTMLElement} root @param {() => Element | null} [focus] @returns {(state: State) => void} */
export function mountAnnouncer(root, focus = focused) {
  /** @type {unknown} */
  let announced = null;
  let news = "";
  let play = "";
  let pinned = 0;
  /** @type {number | null} */
  let warmth = null;

  /** @param {State} state @returns {string} a change of the server's or the model's state */
  const newsWords = (state) => {
    const before = news;
    news = newsOf(state);
    return news === before ? "" : news;
  };

  /** @param {State} state @returns {string} what was just done beside the text: a pin, or a temperature set by a key */
  const deedWords = (state) => {
    const more = state.pins.length > pinned && announced !== null;
    pinned = state.pins.length;
    const { temperature } = state.settings;
    const warmed = warmth !== null && temperature !== warmth && !state.dragging;
    if (!state.dragging) warmth = temperature;
    if (more) return `Pinned as ${state.pins.at(-1)?.name}.`;
    // A slider or field says its own value.
    if (warmed && !focus()?.matches("input")) return temperatureWords(state, focus()?.closest(".row")?.getAttribute("aria-label") ?? "");
    return "";
  };

  /** @param {State} state @returns {string} the end of what was played, or the answer at a new place */
  const placeNews = (state) => {
    const here = `${state.current} ${hidden(state)}`;
    // While generating, only the end is announced.
    if (state.play?.kind === "write") {
      announced = here;
      return "";
    }
    const before = play;
    play = state.play?.kind === "roll" ? "" : playWords(state);
    if (play && play !== before) {
      announced = here;
      return play;
    }
    const answer = answerHere(state);
    if (!answer || state.dragging || announced === here || state.session !== null) return "";
    announced = here;
    return answerWords(state, answer);
  };

  // One draw may have several to say, and none of them comes again.
  return (state) => {
    const words = [newsWords(state), deedWords(state), placeNews(state)].filter(Boolean).join(" ");
    if (words) setText(root, words);
  };
}

/** @param {State} state @param {import("../../core/distribution.js").Answer} answer @returns {string} */
function answerWords(state, answer) {
  const [best] = answer.candidates;
  const { token } = tree.node(state.tree, /** @type {number} */ (state.current));
  const looking = placeWords(state, true);
  const within = !looking && token;
  const after = looking ? `${looking} ` : token ? `After ${spoken(token)}: ` : "";
  if (hidden(state)) return `${after}${within ? "the" : "The"} bars are hidden until you show them.`;
  return best ? `${after}${within ? "most" : "Most"} likely ${spoken(best.token)}, ${format.percent(best.probability)}.` : "";
}

/** @param {State} state @param {string} bar the focused one's label @returns {string} the temperature set by a key, and what it did */
function temperatureWords(state, bar) {
  const best = scene(state)?.drawing.rows[0];
  const first = best ? `${spoken(best.candidate.token)}, ${format.percent(best.share)}` : "";
  return ANNOUNCER.temperature(state.settings.temperature, bar || first);
}

/** @param {State} state @returns {string} */
function newsOf(state) {
  if (state.lost !== null) return "The server can’t be reached. Your text is kept.";
  if (state.trouble) return state.trouble.message;
  const speaker = find(state, state.model);
  if (wished(state)?.state === "failed") return statusLine(state).words;
  if (offered(state)) return readyWords(state);
  return speaker?.state === "ready" ? `Using ${named(speaker.name)}. ${rereadWords(state)}`.trim() : "";
}
