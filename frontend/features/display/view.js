/**
 * The display options of the bars: number column and scale.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { ticks } from "../../core/display.js";
import { COLUMNS } from "../../core/words.js";
import { setText } from "../../ui/dom.js";

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountDisplay(root, verbs) {
  const chart = /** @type {HTMLElement} */ (root.closest(".chart"));
  const axis = /** @type {HTMLElement} */ (chart.querySelector(".axis .track-marks"));
  const inputs = /** @type {NodeListOf<HTMLInputElement>} */ (root.querySelectorAll("input"));
  root.addEventListener("change", (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    verbs.show({ [input.name]: input.value });
  });
  axis.replaceChildren(...ticks().map(({ at, words }) => {
    const tick = document.createElement("span");
    tick.textContent = words;
    tick.style.setProperty("--share", String(at));
    return tick;
  }));

  const name = /** @type {HTMLElement} */ (chart.querySelector(".column-name"));

  return ({ display }) => {
    setText(name, COLUMNS[display.column]);
    for (const input of inputs) input.checked = display[/** @type {keyof typeof display} */ (input.name)] === input.value;
    if (chart.dataset.scale !== display.scale) chart.dataset.scale = display.scale;
    if (chart.dataset.column !== display.column) chart.dataset.column = display.column;
  };
}
