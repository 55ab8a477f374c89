/**
 * What the text is highlighted by.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 */
import { SHADES } from "./model.js";

/** @param {HTMLSelectElement} choice @param {Verbs} verbs @returns {(state: import("../../core/state.js").State) => void} */
export function mountChoice(choice, verbs) {
  choice.addEventListener("change", () => verbs.shade(SHADES.find((each) => each === choice.value) ?? "none"));
  return ({ shading }) => {
    if (choice.value !== shading.by) choice.value = shading.by;
  };
}
