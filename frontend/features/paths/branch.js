/**
 * One branch in the list: opens it, and can fold, rename and delete it.
 *
 * @typedef {import("./outline.js").Branch} Branch
 */
import * as format from "../../core/format.js";
import { LONGEST_NAME } from "../../core/tree.js";
import { PATHS } from "../../core/words_later.js";
import { setText } from "../../ui/dom.js";
import { drawIcon } from "../../ui/token.js";

const DEEPEST = 8; // maximum indentation
const PEN = "M3 13.2 3.6 10 10.8 2.8a1.4 1.4 0 0 1 2 0l.4.4a1.4 1.4 0 0 1 0 2L6 12.4z";
const CROSS = "m4 4 8 8M12 4l-8 8";
const CHEVRON = "m4.5 6 3.5 4 3.5-4";

/**
 * @param {{goTo: (end: number) => void, remove: (start: number) => void, rename: (start: number, name: string) => void,
 *   fold: (start: number, folded: boolean) => void}} acts
 */
export function createBranch(acts) {
  const item = document.createElement("li");
  const [fold, go, pen, remove] = ["quiet path-fold", "path", "quiet path-pen", "quiet path-remove"].map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = name;
    return button;
  });
  const [name, words, total] = ["path-name", "path-words", "path-total"].map((each) => {
    const made = document.createElement(each === "path-total" ? "span" : "bdi");
    made.className = each;
    return made;
  });
  const field = document.createElement("input");
  field.className = "path-field";
  field.maxLength = LONGEST_NAME;
  field.ariaLabel = PATHS.name;
  field.placeholder = PATHS.placeholder;
  field.hidden = true;
  fold.append(drawIcon(CHEVRON));
  pen.append(drawIcon(PEN));
  remove.append(drawIcon(CROSS));
  go.append(name, words, total);
  item.append(fold, go, field, pen, remove);
  /** @type {Branch} */
  let shown;

  fold.addEventListener("click", () => acts.fold(shown.start, shown.hidden === 0));
  go.addEventListener("click", () => acts.goTo(shown.end));
  remove.addEventListener("click", () => acts.remove(shown.start));
  pen.addEventListener("click", () => {
    field.value = shown.name ?? "";
    write(true);
    field.select();
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") field.value = shown.name ?? "";
    write(false);
    pen.focus();
  });
  field.addEventListener("blur", () => write(false));

  /** @param {boolean} on whether the name field replaces the branch */
  function write(on) {
    if (on === !field.hidden) return;
    field.hidden = !on;
    go.hidden = on;
    if (on) field.focus();
    else if (field.value.trim() !== (shown.name ?? "")) acts.rename(shown.start, field.value);
  }

  /** @param {Branch} branch */
  function update(branch) {
    shown = branch;
    const { depth, words: text, model, logprob, here, removable, forked, hidden } = branch;
    const called = branch.name ?? text;
    item.style.setProperty("--depth", String(Math.min(DEEPEST, depth)));
    item.ariaLevel = String(depth + 1);
    fold.toggleAttribute("data-none", !forked);
    fold.disabled = !forked;
    fold.ariaExpanded = forked ? String(hidden === 0) : null;
    fold.ariaLabel = forked ? PATHS.branches(called) : PATHS.none;
    name.hidden = branch.name === null;
    setText(name, branch.name ?? "");
    setText(words, text.replaceAll("·", "\u200b·")); // lines may end before a space
    const likely = logprob === null ? "" : format.percentOf(logprob);
    setText(total, [hidden ? `+${hidden}` : "", likely].filter(Boolean).join(" · "));
    go.title = [
      format.shortName(model),
      ...(hidden ? [PATHS.hidden(hidden)] : []),
      ...(likely ? [PATHS.likely(likely)] : []),
    ].join("; ");
    if (here) go.setAttribute("aria-current", "true");
    else go.removeAttribute("aria-current");
    pen.ariaLabel = PATHS.rename(called);
    remove.toggleAttribute("data-none", !removable);
    remove.disabled = !removable;
    remove.ariaLabel = PATHS.remove(called);
  }

  return { item, update };
}
