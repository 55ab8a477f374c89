/**
 * The line about a link that was opened.
 *
 * @typedef {import("../../core/initial.js").State} State
 */
import { setHidden, setText } from "../../ui/dom.js";
import { linkWords } from "./link.js";

/** @param {HTMLElement} note @returns {(state: State) => void} */
export function mountLinkNote(note) {
  return (state) => {
    const words = linkWords(state);
    setHidden(note, !words);
    note.classList.toggle("trouble", state.linkTrouble !== null);
    setText(note, words);
  };
}
