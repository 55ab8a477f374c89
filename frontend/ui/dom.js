/**
 * Touches the document only where something changes, and measures it only once all has been drawn: each change between two
 * measures costs the browser another layout of the whole page.
 */

/** @type {(() => void)[]} */
let waiting = [];

/** @param {() => void} work that reads or scrolls the page; done by `settle`, when every view has drawn */
export function afterwards(work) {
  waiting.push(work);
}

/** Does what waits for the page to be drawn. */
export function settle() {
  const ready = waiting;
  waiting = [];
  for (const work of ready) work();
}

/** Words of the page; what would turn the direction of all that follows stays out. @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  const words = text.replace(/[\u202a-\u202e]/g, "");
  if (element.textContent !== words) element.textContent = words;
}

/** @param {Element} element @param {string} name @param {string} value */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {HTMLElement} element @param {string} name of a custom property @param {string} value */
export function setVariable(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}
