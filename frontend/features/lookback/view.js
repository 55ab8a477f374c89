/**
 * The line above the bars with the chart's position, and a button back to the end.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { CHART, LOOKBACK } from "../../core/words.js";
import { setHidden, setText } from "../../ui/dom.js";
import { layerWords, placeWords } from "./model.js";

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountLookback(root, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const [line, words, title] = [".look", ".look-words", "#chart-title"].map(part);
  let looking = false;
  const button = part(".look button");
  const label = /** @type {Text} */ (button.firstChild);
  button.addEventListener("click", verbs.leave);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !looking || event.defaultPrevented) return;
    if (/** @type {Element} */ (event.target).matches("textarea") || document.querySelector("dialog[open], [popover=auto]:popover-open")) return;
    event.preventDefault();
    verbs.leave();
  });

  return (state) => {
    const layer = layerWords(state);
    const said = layer || placeWords(state);
    looking = said !== "";
    const back = `${layer ? LOOKBACK.answer : LOOKBACK.back} `;
    if (label.data !== back) label.data = back;
    const left = !looking && line.contains(document.activeElement);
    root.toggleAttribute("data-looking", looking);
    root.toggleAttribute("data-layer", layer !== "");
    setHidden(line, !looking);
    setText(words, said);
    setText(title, layer ? CHART.layer : looking ? CHART.here : CHART.next);
    // The focused button is gone: move focus to the bars.
    if (left) /** @type {HTMLElement | null} */ (root.querySelector(".bars [tabindex='0']"))?.focus();
  };
}
