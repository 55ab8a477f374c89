/**
 * The "how these numbers are calculated" panel.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { hidden, scene } from "../../core/questions.js";
import { setText } from "../../ui/dom.js";
import { steps } from "./model.js";

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountSteps(root, verbs) {
  const folder = /** @type {HTMLDetailsElement} */ (root);
  const list = /** @type {HTMLElement} */ (root.querySelector("ol"));
  // The state decides, but also follow toggles without a click, such as the browser's find in page.
  folder.querySelector("summary")?.addEventListener("click", (event) => {
    event.preventDefault();
    verbs.unfold("steps", !folder.open);
  });
  folder.addEventListener("toggle", () => verbs.unfold("steps", folder.open));

  return (state) => {
    if (folder.open !== state.open.steps) folder.open = state.open.steps;
    const drawing = folder.open ? scene(state)?.drawing : null;
    if (hidden(state)) list.replaceChildren();
    if (!drawing) return;
    steps(drawing, state.settings).forEach((words, index) => {
      setText(/** @type {HTMLElement} */ (list.children[index] ?? list.appendChild(document.createElement("li"))), words);
    });
  };
}
