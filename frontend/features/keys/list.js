/**
 * The list of keyboard shortcuts, and the switch for those of a single key.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { KEYS } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { withKeys } from "../../ui/kbd.js";

/** @param {HTMLElement} root @param {import("../frame/room.js").Page} page @returns {(state: State) => void} */
export function mount(root, { verbs }) {
  const single = build("input", { id: "single-keys", type: "checkbox" });
  single.addEventListener("change", () => verbs.setKeys(single.checked));
  root.append(
    build("h2", { id: "keys-title", tabindex: "-1", autofocus: true }, KEYS.title),
    build("dl", {}, ...KEYS.list.map(([keys, words]) => build("div", {}, build("dt", {}, ...withKeys(keys)), build("dd", {}, ...withKeys(words))))),
    build("label", { class: "check" }, single, " ", ...withKeys(KEYS.single)),
    build("form", { method: "dialog" }, build("button", { type: "submit" }, KEYS.close)),
  );
  return (state) => {
    single.checked = state.room.keys;
  };
}
