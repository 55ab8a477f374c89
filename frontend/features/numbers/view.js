/**
 * The inspector's numbers: how likely any text is, and how the bars' numbers are calculated.
 *
 * @typedef {import("../../core/initial.js").State} State
 */
import { build } from "../../ui/build.js";
import { mountLikely } from "../likely/view.js";
import { mountSteps } from "../steps/view.js";

/** @param {HTMLElement} root @param {import("../frame/room.js").Page} page @returns {(state: State) => void} */
export function mount(root, page) {
  const [likely, steps] = ["likely", "steps"].map((name) => build("section", { class: name, id: name }));
  root.append(likely, steps);
  const updates = [mountLikely(likely, page), mountSteps(steps)];
  return (state) => {
    for (const update of updates) update(state);
  };
}
