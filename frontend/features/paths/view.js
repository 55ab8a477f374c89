/**
 * The list of branches, indented under their parents.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { hidden } from "../../core/questions.js";
import { PATHS } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setText } from "../../ui/dom.js";
import { createBranch } from "./branch.js";
import * as model from "./model.js";
import { outline } from "./outline.js";
import { MOST_BRANCHES } from "./trim.js";

/** @param {HTMLElement} root @param {import("../frame/room.js").Page} page @returns {(state: State) => void} */
export function mount(root, { act, verbs }) {
  const acts = {
    goTo: verbs.goTo,
    remove: (/** @type {number} */ start) => act((now) => model.remove(now, start)),
    rename: (/** @type {number} */ start, /** @type {string} */ name) => act((now) => model.rename(now, start, name)),
    fold: (/** @type {number} */ start, /** @type {boolean} */ folded) => act((now) => model.fold(now, start, folded)),
  };
  const list = build("ul", { "aria-label": PATHS.all });
  const offered = build("span");
  const back = build("button", { type: "button" }, PATHS.restore);
  const offer = build("p", { class: "paths-removed", role: "status", hidden: true }, offered, " ", back);
  const full = build("p", { class: "paths-full", hidden: true }, PATHS.full(MOST_BRANCHES));
  const covered = build("p", { class: "paths-full", hidden: true }, PATHS.covered);
  root.append(build("div", { class: "paths", id: "paths" }, covered, list, offer, full));
  /** @type {Map<number, ReturnType<typeof createBranch>>} */
  const lines = new Map();
  /** @type {unknown[]} */
  let drawn = [];
  let wanted = false; // focus the branch that came back

  back.addEventListener("click", () => {
    act(model.restore);
    wanted = true;
  });

  return (state) => {
    const last = state.removed.at(-1);
    const guessing = hidden(state);
    covered.hidden = !guessing;
    offer.hidden = !last || guessing;
    setText(offered, last && !guessing ? PATHS.deleted(last.words, state.removed.length - 1) : "");
    if (drawn[0] === state.tree && drawn[1] === (state.end ?? state.current) && drawn[2] === guessing) return;
    drawn = [state.tree, state.end ?? state.current, guessing];
    const branches = guessing ? [] : outline(state);
    full.hidden = branches.filter((branch) => !branch.forked).length < MOST_BRANCHES;
    const kept = new Set(branches.map((branch) => branch.start));
    const lost = [...lines].filter(([start]) => !kept.has(start));
    const focused = lost.some(([, { item }]) => item.contains(document.activeElement));
    for (const [start, { item }] of lost) {
      item.remove();
      lines.delete(start);
    }
    branches.forEach((branch, index) => {
      const line = lines.get(branch.start) ?? createBranch(acts);
      lines.set(branch.start, line);
      line.update(branch);
      if (list.children[index] !== line.item) list.insertBefore(line.item, list.children[index] ?? null);
    });
    if (focused && last) back.focus();
    if (wanted) /** @type {HTMLElement | null} */ (list.querySelector("[aria-current]") ?? list.querySelector(".path"))?.focus();
    wanted = false;
  };
}
