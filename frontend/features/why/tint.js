/**
 * Tints the text's tokens: for and against the token in focus. Takes the tint away when the tab closes.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { setAttribute } from "../../ui/dom.js";
import { tints } from "./model.js";

const LEVELS = 4;
const FAINT = 0.04; // of the strongest
const NAMES = ["data-push", "data-strength", "data-sign"];

/** @param {HTMLElement} root that holds the text's tokens, as a strip or as turns @returns {(state: State) => void} call once they are drawn */
export function createTint(root) {
  return (state) => {
    const all = tints(state);
    for (const chip of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".token[data-nodes]"))) {
      const tint = all.get(Number(chip.dataset.nodes));
      if (!tint || tint.strength < FAINT) {
        for (const name of NAMES) chip.removeAttribute(name);
        continue;
      }
      setAttribute(chip, "data-push", tint.push < 0 ? "against" : "for");
      setAttribute(chip, "data-strength", String(Math.ceil(tint.strength * LEVELS)));
      if (tint.first) setAttribute(chip, "data-sign", tint.push < 0 ? "−" : "+");
      else chip.removeAttribute("data-sign");
    }
  };
}
