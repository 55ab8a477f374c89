/**
 * The examples menu.
 *
 * @typedef {import("../frame/room.js").Page} Page
 */
import { textHere } from "../../core/state.js";
import { STARTERS, start } from "./model.js";

/** @param {HTMLElement} root @param {Page} page @returns {(state: import("../../core/state.js").State) => void} */
export function mount(root, { act }) {
  const entries = STARTERS.map(({ name, text, shows }, index) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "entry";
    button.dataset.index = String(index);
    button.append(span("", name), span("entry-text", text), span("entry-words", shows));
    item.append(button);
    return { item, button };
  });
  const list = /** @type {HTMLElement} */ (root.querySelector("ul"));
  list.append(...entries.map(({ item }) => item));
  list.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (!button) return;
    root.hidePopover();
    act((now) => start(now, STARTERS[Number(button.dataset.index)]));
  });

  return (state) => {
    const text = state.draft ?? textHere(state);
    entries.forEach(({ button }, index) => {
      if (STARTERS[index].text === text) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
  };
}

/** @param {string} name @param {string} words */
function span(name, words) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = words;
  return made;
}
