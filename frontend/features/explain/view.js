/**
 * “What am I looking at?”: explains every number. Hovering an entry highlights its number.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("./model.js").Explanation} Explanation
 */
import { setText } from "../../ui/dom.js";
import { explanations } from "./model.js";

/** @param {HTMLElement} root @returns {(state: State) => void} */
export function mount(root) {
  const list = /** @type {HTMLElement} */ (root.querySelector("dl"));
  /** @type {State | null} */
  let latest = null;
  /** @type {ReturnType<typeof createEntry>[]} */
  let entries = [];

  root.addEventListener("beforetoggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "open") draw();
  });
  for (const [name, on] of /** @type {const} */ ([["pointerover", true], ["pointerout", false]])) {
    list.addEventListener(name, (event) => {
      const target = /** @type {HTMLElement} */ (event.target).closest("div")?.dataset.target;
      if (target) document.querySelector(target)?.toggleAttribute("data-pointed", on);
    });
  }

  function draw() {
    if (!latest) return;
    const all = explanations(latest);
    if (!entries.length) {
      entries = all.map(createEntry);
      list.append(...entries.map(({ item }) => item));
    }
    all.forEach((each, index) => entries[index].update(each));
  }

  return (state) => {
    latest = state;
    if (root.matches(":popover-open")) draw();
  };
}

/** @param {Explanation} first */
function createEntry({ name, target }) {
  const item = document.createElement("div");
  const [title, value, words] = ["dt", "dd", "dd"].map((tag) => document.createElement(tag));
  item.dataset.target = target;
  title.textContent = name;
  value.className = "explain-value";
  item.append(title, value, words);

  /** @param {Explanation} now */
  function update(now) {
    setText(value, now.value);
    value.hidden = !now.value;
    setText(words, now.words);
  }

  return { item, update };
}
