/**
 * The text: an editor, and its tokens below.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { inEditor } from "../../core/editing.js";
import * as format from "../../core/format.js";
import { textHere } from "../../core/state.js";
import { afterwards, setAttribute, setHidden, setText } from "../../ui/dom.js";
import { countWords, doubled, noteWords, specialWords } from "./model.js";
import { mountStrip } from "./strip.js";

const SCROLLED_PX = 2;

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountPrompt(root, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const editor = /** @type {HTMLTextAreaElement} */ (root.querySelector("textarea"));
  const [strip, count, note, trouble] = [".tokens", ".prompt-count", ".prompt-note", ".trouble"].map(part);
  const [undo, redo] = ["undo", "redo"].map((verb) => /** @type {HTMLButtonElement} */ (part(`[data-verb=${verb}]`)));
  const special = part(".special-note");
  const other = /** @type {HTMLButtonElement} */ (special.querySelector("button"));
  const updateStrip = mountStrip(strip, verbs);

  editor.addEventListener("input", () => verbs.edit(editor.value));
  editor.addEventListener("blur", verbs.rest);
  const toEnd = () => (editor.scrollTop = editor.scrollHeight);
  // Keep the end of the text visible when its size changes, unless the reader has scrolled away from it.
  let atEnd = true;
  let size = "";
  const sizeNow = () => `${editor.clientWidth} ${editor.clientHeight} ${editor.scrollHeight}`;
  editor.addEventListener("scroll", () => {
    if (sizeNow() === size) atEnd = editor.scrollHeight - editor.clientHeight - editor.scrollTop <= SCROLLED_PX;
  });
  new ResizeObserver(() => {
    if (!editor.matches(":focus") && atEnd) toEnd();
    size = sizeNow();
  }).observe(editor);
  undo.addEventListener("click", verbs.undo);
  redo.addEventListener("click", verbs.redo);
  other.addEventListener("click", verbs.readOther);

  /** @param {State} state */
  function update(state) {
    // Otherwise each change would reset text and scroll position.
    const text = inEditor(state.draft ?? textHere(state));
    if (editor.value !== text) {
      editor.value = text;
      afterwards(() => {
        toEnd();
        [atEnd, size] = [true, sizeNow()];
      });
    }
    undo.disabled = !state.past.length && !(state.draft !== null && state.current !== null);
    redo.disabled = !state.future.length;
    root.toggleAttribute("data-draft", state.draft !== null);
    if (document.activeElement !== editor) verbs.rest(); // the answer arrived after the editor lost focus
    const words = countWords(state);
    if (words !== null) setText(count, words);
    showTrouble(state);
    const remarks = noteWords(state);
    setHidden(note, !remarks);
    note.toggleAttribute("data-doubled", doubled(state) !== null);
    const read = specialWords(state);
    setHidden(special, !read);
    if (read) [special.firstElementChild, other].forEach((each, at) => setText(/** @type {HTMLElement} */ (each), at ? read.offer : read.words));
    setText(note, remarks);
    setAttribute(strip, "dir", editor.matches(":dir(rtl)") ? "rtl" : "ltr");
    updateStrip(state);
  }

  /** @param {State} state */
  function showTrouble({ trouble: found }) {
    const here = found && ["text", "token_ids", "parts"].includes(found.field ?? "") ? found : null;
    setHidden(trouble, !here);
    setText(trouble, here ? format.beside(here.message, here.field) : "");
    setAttribute(editor, "aria-invalid", String(!trouble.hidden));
  }

  return update;
}
