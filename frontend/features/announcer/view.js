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

  return (state) => {
    const fresh = newsOf(state);
    if (fresh !== news) {
      news = fresh;
      if (fresh) return setText(root, fresh);
    }
    const more = state.pins.length > pinned;
    pinned = state.pins.length;
    if (more && announced !== null) return setText(root, `Pinned as ${state.pins.at(-1)?.name}.`);
    const { temperature } = state.settings;
    const warmed = warmth !== null && temperature !== warmth && !state.dragging;
    if (!state.dragging) warmth = temperature;
    // A slider or field says its own value.
    if (warmed && !focus()?.matches("input")) return setText(root, temperatureWords(state, focus()?.closest(".row")?.getAttribute("aria-label") ?? ""));
    const here = `${state.current} ${hidden(state)}`;
    // While generating, only the end is announced.
    if (state.play?.kind === "write") {
      announced = here;
      return;
    }
    const words = state.play?.kind === "roll" ? "" : playWords(state);
    if (words !== play) {
      play = words;
      if (words) {
        announced = here;
        return setText(root, words);
      }
    }
    const answer = answerHere(state);
    if (!answer || state.dragging || announced === here || state.session !== null) return;
    announced = here;
    const [best] = answer.candidates;
    const { token } = tree.node(state.tree, /** @type {number} */ (state.current));
    const looking = placeWords(state, true);
    const within = !looking && token;
    const after = looking ? `${looking} ` : token ? `After ${spoken(token)}: ` : "";
    if (hidden(state)) return setText(root, `${after}${within ? "the" : "The"} bars are hidden until you show them.`);
    if (best) setText(root, `${after}${within ? "most" : "Most"} likely ${spoken(best.token)}, ${format.percent(best.probability)}.`);
  };
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
