/**
 * Everything tried: one line for each branch, indented under the one it grew from.
 *
 * @typedef {import("../main.js").Verbs} Verbs
 * @typedef {import("../state.js").State} State
 * @typedef {import("../paths.js").Branch} Branch
 */
import * as format from "../format.js";
import { outline } from "../paths.js";
import { setText } from "./row.js";

const DEEPEST = 8; // steps of indentation; what grows deeper stands there

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountPaths(root, verbs) {
  const folder = /** @type {HTMLDetailsElement} */ (root);
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const [list, offer, offered, back] = ["ul", ".paths-removed", ".paths-removed span", ".paths-removed button"].map(part);
  /** @type {Map<number, ReturnType<typeof createLine>>} */
  const lines = new Map();
  /** @type {unknown[]} */
  let drawn = [];

  // The state leads; what unfolds without a click, such as a search of the browser's, is followed.
  folder.querySelector("summary")?.addEventListener("click", (event) => {
    event.preventDefault();
    verbs.unfold("paths", !folder.open);
  });
  folder.addEventListener("toggle", () => verbs.unfold("paths", folder.open));
  back.addEventListener("click", () => {
    verbs.restore();
    folder.querySelector("summary")?.focus();
  });
  list.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("button");
    if (button?.dataset.to) verbs.goTo(Number(button.dataset.to));
    if (button?.dataset.remove) verbs.remove(Number(button.dataset.remove));
  });

  return (state) => {
    if (folder.open !== state.open.paths) folder.open = state.open.paths;
    offer.hidden = !state.removed;
    setText(offered, state.removed ? `Deleted \u2068${state.removed.words}\u2069` : "");
    if (!folder.open || (drawn[0] === state.tree && drawn[1] === state.current)) return;
    drawn = [state.tree, state.current];
    const branches = outline(state);
    const kept = new Set(branches.map((branch) => branch.start));
    const lost = [...lines].filter(([start]) => !kept.has(start));
    const focused = lost.some(([, { item }]) => item.contains(document.activeElement));
    for (const [start, { item }] of lost) {
      item.remove();
      lines.delete(start);
    }
    branches.forEach((branch, index) => {
      const line = lines.get(branch.start) ?? createLine();
      lines.set(branch.start, line);
      line.update(branch);
      if (list.children[index] !== line.item) list.insertBefore(line.item, list.children[index] ?? null);
    });
    if (focused) back.focus();
  };
}

function createLine() {
  const item = document.createElement("li");
  const go = document.createElement("button");
  const remove = document.createElement("button");
  const words = document.createElement("bdi");
  const total = document.createElement("span");
  go.className = "path";
  remove.className = "quiet path-remove";
  words.className = "path-words";
  total.className = "path-total";
  for (const button of [go, remove]) button.type = "button";
  go.append(words, total);
  remove.textContent = "×";
  item.append(go, remove);

  /** @param {Branch} branch */
  function update({ start, end, depth, words: text, model, probability, here, removable }) {
    item.style.setProperty("--depth", String(Math.min(DEEPEST, depth)));
    setText(words, text);
    setText(total, probability === null ? "" : format.percent(probability));
    go.dataset.to = String(end);
    go.title = `${format.shortName(model)}${probability === null ? "" : `; all picked tokens together, ${format.percent(probability)}`}`;
    if (here) go.setAttribute("aria-current", "true");
    else go.removeAttribute("aria-current");
    remove.dataset.remove = String(start);
    remove.hidden = !removable;
    remove.ariaLabel = `Delete the branch ${text}`;
  }

  return { item, update };
}
