/**
 * The list of branches, indented under their parents.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { setText } from "../../ui/dom.js";
import { createBranch } from "./branch.js";
import { MOST_BRANCHES, outline } from "./model.js";

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountPaths(root, verbs) {
  const folder = /** @type {HTMLDetailsElement} */ (root);
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const [list, offer, offered, back, full] = ["ul", ".paths-removed", ".paths-removed span", ".paths-removed button", ".paths-full"].map(part);
  /** @type {Map<number, ReturnType<typeof createBranch>>} */
  const lines = new Map();
  /** @type {unknown[]} */
  let drawn = [];

  // The state decides, but also follow toggles without a click, such as the browser's find in page.
  folder.querySelector("summary")?.addEventListener("click", (event) => {
    event.preventDefault();
    verbs.unfold("paths", !folder.open);
  });
  folder.addEventListener("toggle", () => verbs.unfold("paths", folder.open));
  back.addEventListener("click", () => {
    verbs.restore();
    folder.querySelector("summary")?.focus();
  });

  return (state) => {
    if (folder.open !== state.open.paths) folder.open = state.open.paths;
    const last = state.removed.at(-1);
    offer.hidden = !last;
    setText(offered, last ? `Deleted \u2068${last.words}\u2069${state.removed.length > 1 ? ` and ${state.removed.length - 1} before it` : ""}` : "");
    if (!folder.open || (drawn[0] === state.tree && drawn[1] === (state.end ?? state.current))) return;
    drawn = [state.tree, state.end ?? state.current];
    const branches = outline(state);
    full.hidden = branches.filter((branch) => !branch.forked).length < MOST_BRANCHES;
    const kept = new Set(branches.map((branch) => branch.start));
    const lost = [...lines].filter(([start]) => !kept.has(start));
    const focused = lost.some(([, { item }]) => item.contains(document.activeElement));
    for (const [start, { item }] of lost) {
      item.remove();
      lines.delete(start);
    }
    branches.forEach((branch, index) => {
      const line = lines.get(branch.start) ?? createBranch(verbs);
      lines.set(branch.start, line);
      line.update(branch);
      if (list.children[index] !== line.item) list.insertBefore(line.item, list.children[index] ?? null);
    });
    if (focused && last) back.focus();
  };
}
