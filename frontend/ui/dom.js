/**
 * Writes to the document only on changes, and reads layout only after all views have rendered: each write between two reads
 * costs a layout of the whole page.
 */

/** @type {(() => void)[]} */
let waiting = [];

/** @param {() => void} work that reads layout or scrolls; run by `settle`, after every view has rendered */
export function afterwards(work) {
  waiting.push(work);
}

/** Runs the deferred work. */
export function settle() {
  const ready = waiting;
  waiting = [];
  for (const work of ready) work();
}

/** Sets text, without bidi characters that would affect what follows. @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  const words = text.replace(/[\u202a-\u202e]/g, "");
  if (element.textContent !== words) element.textContent = words;
}

/** @param {Element} element @param {string} name @param {string} value */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {HTMLElement} element @param {boolean} hidden */
export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden; // setting the same restyles it
}

/** @param {HTMLElement} element @param {string} name of a custom property @param {string} value */
export function setVariable(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}
