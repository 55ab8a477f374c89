/**
 * The text's highlight: selection, legend and totals.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { COMMON, SCORES } from "../../core/words.js";
import { setText } from "../../ui/dom.js";
import { SHADES, levelWords, textNodes, totals, totalsWords, wantedScores } from "./model.js";

/** @param {HTMLElement} root @param {HTMLSelectElement} choice @param {Verbs} verbs @returns {(state: State) => void} */
export function mountScores(root, choice, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const [what, legend, words, trouble] = [".shade-what", ".shade-legend", ".shade-words", ".shade-trouble"].map(part);
  const again = /** @type {HTMLButtonElement} */ (part(".shade-trouble button"));
  choice.addEventListener("change", () => verbs.shade(SHADES.find((each) => each === choice.value) ?? "none"));
  again.addEventListener("click", verbs.retryScores);
  /** @type {unknown} */
  let drawn = null;
  /** @type {unknown[]} */
  let counted = [];

  /** @param {"surprise" | "entropy"} by */
  function drawLegend(by) {
    const levels = levelWords(by).map((range, level) => {
      const item = document.createElement("li");
      const sample = document.createElement("span");
      sample.className = "token shade-sample";
      sample.dataset.level = String(level);
      item.append(sample, range);
      return item;
    });
    const [low, high] = [SCORES[by].low, SCORES[by].high].map((end) => {
      const item = document.createElement("li");
      item.textContent = end;
      return item;
    });
    legend.replaceChildren(low, ...levels, high);
  }

  return (state) => {
    const { by, trouble: found } = state.shading;
    if (choice.value !== by) choice.value = by;
    root.hidden = by === "none";
    if (by === "none") return;
    if (drawn !== by) {
      drawn = by;
      setText(what, SCORES[by].what);
      drawLegend(by);
    }
    trouble.hidden = !found;
    again.hidden = found?.again ?? true;
    if (found) setText(part(".shade-trouble p"), found.again ? COMMON.byItself(found.message) : found.message);
    const now = [state.tree, state.end ?? state.current, state.draft];
    if (now.every((each, at) => each === counted[at]) && words.dataset.waiting !== "true") return;
    counted = now;
    const all = state.draft === null ? totals(textNodes(state)) : null;
    const waiting = !all && (state.draft !== null || wantedScores(state) !== null);
    words.dataset.waiting = String(!all);
    setText(words, all ? totalsWords(all) : waiting ? SCORES.waiting : "");
  };
}
