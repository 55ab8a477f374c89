/**
 * Keys of the whole page, and the list of them.
 *
 * @typedef {import("../main.js").Verbs} Verbs
 */

/** @type {Record<string, string>} */
const actions = { m: "most-likely", r: "roll", w: "write" };

/** @param {Document} page @param {Verbs} verbs */
export function mountKeys(page, verbs) {
  const list = /** @type {HTMLDialogElement} */ (page.getElementById("keys"));
  const editor = /** @type {HTMLTextAreaElement} */ (page.getElementById("text"));
  /** @param {string} selector @returns {HTMLButtonElement | null} */
  const bar = (selector) => page.querySelector(`.bars ${selector}`);
  /** @param {string} verb @returns {HTMLButtonElement | null} */
  const action = (verb) => page.querySelector(`.actions [data-verb='${verb}']`);
  page.getElementById("keys-open")?.addEventListener("click", () => list.showModal());
  list.addEventListener("click", (event) => event.target === list && list.close());

  page.addEventListener("keydown", (event) => {
    if (list.open || event.defaultPrevented || event.altKey) return;
    const target = /** @type {Element} */ (event.target);
    const writing = target.matches("textarea, input:not([type=range])");
    if (event.ctrlKey || event.metaKey) {
      // A text field undoes its own typing; everywhere else a step is undone.
      const step = { z: event.shiftKey ? verbs.redo : verbs.undo, y: verbs.redo }[event.key.toLowerCase()];
      if (!step || writing) return;
      event.preventDefault();
      step();
      return;
    }
    if (event.key === "Escape" && target === editor) return bar("[tabindex='0']")?.focus();
    if (writing) return;
    if (/^\d$/.test(event.key)) bar(`[data-index='${(Number(event.key) + 9) % 10}']`)?.click();
    else if (actions[event.key.toLowerCase()]) action(actions[event.key.toLowerCase()])?.click();
    else if (event.key === "?") list.showModal();
    else if (event.key === "e" || event.key === "E") editor.focus();
    else return;
    event.preventDefault();
  });
}
