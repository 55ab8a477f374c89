/**
 * The legend of the text's highlight, and its totals.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { COMMON } from "../../core/words.js";
import { SCORES } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setHidden, setText } from "../../ui/dom.js";
import { textNodes, wantedScores } from "./model.js";
import { levelWords, totals, totalsWords } from "./totals.js";

/** @param {HTMLElement} root @param {import("../frame/room.js").Page} page @returns {(state: State) => void} */
export function mount(root, { verbs }) {
  const [what, legend, words, said] = [build("p", { class: "shade-what" }), build("ul", { class: "shade-legend" }), build("p", { class: "shade-words" }), build("p")];
  const again = build("button", { type: "button", class: "quiet" }, COMMON.again);
  const trouble = build("div", { class: "shade-trouble", role: "status", hidden: true }, said, again);
  again.addEventListener("click", verbs.retryScores);
  root.append(what, legend, words, trouble);
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
    setHidden(root, by === "none");
    if (by === "none") return;
    if (drawn !== by) {
      drawn = by;
      setText(what, SCORES[by].what);
      drawLegend(by);
    }
    setHidden(trouble, !found);
    setHidden(again, found?.again ?? true);
    if (found) setText(said, found.again ? COMMON.byItself(found.message) : found.message);
    const now = [state.tree, state.end ?? state.current, state.draft];
    if (now.every((each, at) => each === counted[at]) && words.dataset.waiting !== "true") return;
    counted = now;
    const all = state.draft === null ? totals(textNodes(state)) : null;
    const waiting = !all && (state.draft !== null || wantedScores(state) !== null);
    words.dataset.waiting = String(!all);
    setText(words, all ? totalsWords(all) : waiting ? SCORES.waiting : "");
  };
}
