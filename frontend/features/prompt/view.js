/**
 * The text: an editor, and its tokens below.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import * as format from "../../core/format.js";
import { answerHere } from "../../core/questions.js";
import { ending, textHere } from "../../core/state.js";
import * as tree from "../../core/tree.js";
import { afterwards, setAttribute, setText } from "../../ui/dom.js";
import { doubled, noteWords } from "./model.js";
import { mountStrip } from "./strip.js";

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountPrompt(root, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const editor = /** @type {HTMLTextAreaElement} */ (root.querySelector("textarea"));
  const [strip, count, note, trouble] = [".tokens", ".prompt-count", ".prompt-note", ".trouble"].map(part);
  const [undo, redo] = ["undo", "redo"].map((verb) => /** @type {HTMLButtonElement} */ (part(`[data-verb=${verb}]`)));
  const updateStrip = mountStrip(strip, verbs);

  editor.addEventListener("input", () => verbs.edit(editor.value));
  editor.addEventListener("blur", verbs.rest);
  const toEnd = () => (editor.scrollTop = editor.scrollHeight);
  // Keep the end of the text visible when its height changes.
  new ResizeObserver(() => editor.matches(":focus") || toEnd()).observe(editor);
  undo.addEventListener("click", verbs.undo);
  redo.addEventListener("click", verbs.redo);

  /** @param {State} state */
  function update(state) {
    // Editors normalize line breaks to \n; without this, each change would reset text and scroll position.
    const text = (state.draft ?? textHere(state)).replace(/\r\n?/g, "\n");
    if (editor.value !== text) {
      editor.value = text;
      afterwards(toEnd);
    }
    undo.disabled = !state.past.length && !(state.draft !== null && state.current !== null);
    redo.disabled = !state.future.length;
    root.toggleAttribute("data-draft", state.draft !== null);
    if (document.activeElement !== editor) verbs.rest(); // the answer arrived after the editor lost focus
    const limit = answerHere(state)?.contextLimit;
    const end = ending(state);
    const nodes = end === null ? [] : tree.path(state.tree, end);
    const number = nodes.length === 1 ? "1 token" : `${format.count(nodes.length)} tokens`;
    if (state.draft === null && limit) setText(count, `${number} of ${format.count(limit)}`);
    showTrouble(state);
    const words = noteWords(state);
    note.hidden = !words;
    note.toggleAttribute("data-doubled", doubled(state) !== null);
    setText(note, words);
    setAttribute(strip, "dir", editor.matches(":dir(rtl)") ? "rtl" : "ltr");
    updateStrip(state);
  }

  /** @param {State} state */
  function showTrouble({ trouble: found }) {
    const here = found && (found.field === "text" || found.field === "token_ids") ? found : null;
    trouble.hidden = !here;
    setText(trouble, here ? format.beside(here.message, here.field) : "");
    setAttribute(editor, "aria-invalid", String(!trouble.hidden));
  }

  return update;
}
