/**
 * The status line.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { setHidden, setText } from "../../ui/dom.js";
import { statusLine } from "./model.js";

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountStatus(root, verbs) {
  const words = /** @type {HTMLElement} */ (root.querySelector(".status-words"));
  const button = /** @type {HTMLButtonElement} */ (root.querySelector(".status-action"));
  const progress = /** @type {HTMLProgressElement} */ (root.querySelector(".status-progress"));
  /** @type {ReturnType<typeof statusLine>["action"]} */
  let action = null;
  button.addEventListener("click", () => action && verbs[action.verb](action.model));

  return (state) => {
    const line = statusLine(state);
    root.dataset.tone = line.tone;
    root.toggleAttribute("data-brief", line.brief);
    root.toggleAttribute("data-silent", !line.words);
    setText(words, line.words);
    action = line.action;
    setHidden(button, !action);
    setText(button, action?.label ?? "");
    setHidden(progress, line.progress === null);
    if (line.progress !== null) progress.value = line.progress;
  };
}
