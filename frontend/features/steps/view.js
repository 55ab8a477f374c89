/**
 * The "how these numbers are calculated" panel.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { hidden, scene } from "../../core/questions.js";
import { NUMBERS } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setHidden, setText } from "../../ui/dom.js";
import { steps } from "./model.js";

/** @param {HTMLElement} root @returns {(state: State) => void} */
export function mountSteps(root) {
  const list = build("ol");
  root.append(build("h2", {}, NUMBERS.calculated), list);

  return (state) => {
    const drawing = scene(state)?.drawing;
    setHidden(root, hidden(state));
    if (hidden(state)) list.replaceChildren();
    if (!drawing) return;
    const all = steps(drawing, state.settings);
    all.forEach((words, index) => {
      setText(/** @type {HTMLElement} */ (list.children[index] ?? list.appendChild(build("li"))), words);
    });
    while (list.children.length > all.length) list.lastElementChild?.remove();
  };
}
