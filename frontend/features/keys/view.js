/**
 * Keyboard shortcuts; `list.js` has the list of them.
 */
import { inspecting } from "../../core/frame.js";
import { hidden } from "../../core/questions.js";
import { LIMITS } from "../../core/settings.js";

const TEMPERATURE_STEP = 0.1;

/** @param {Document} page @param {Pick<import("../frame/room.js").Page, "verbs" | "read">} room */
export function mountKeys(page, { verbs, read }) {
  const list = /** @type {HTMLDialogElement} */ (page.getElementById("keys"));
  const editor = /** @type {HTMLTextAreaElement} */ (page.getElementById("text"));
  /** @param {string} selector @returns {HTMLButtonElement | null} */
  const button = (selector) => page.querySelector(selector);
  list.addEventListener("click", (event) => event.target === list && list.close());

  const first = () => button(".bars [tabindex='0']");
  const warm = (/** @type {number} */ by) => {
    const { least } = LIMITS.temperature;
    verbs.set({ temperature: Math.max(least, Math.round((read().settings.temperature + by) * 100) / 100) });
  };
  const lookUp = () => {
    if (!read().room.presenting && !hidden(read())) verbs.openTab("numbers", "#likely-text");
  };
  /** @type {Record<string, () => unknown>} when nothing has focus */
  const MOVES = {
    ArrowUp: () => first()?.focus(),
    ArrowDown: () => first()?.focus(),
    ArrowRight: () => first()?.click(),
    ArrowLeft: verbs.takeBack,
  };
  /** @type {Record<string, () => unknown>} */
  const VERBS = {
    "+": () => warm(TEMPERATURE_STEP),
    "=": () => warm(TEMPERATURE_STEP),
    "-": () => warm(-TEMPERATURE_STEP),
    m: () => button(".actions [data-verb='most-likely']")?.click(),
    r: () => button(".actions [data-verb='roll']")?.click(),
    w: () => button(".actions [data-verb='write']")?.click(),
    p: () => verbs.present(!read().room.presenting),
    g: () => verbs.guess(!read().room.guessing),
    v: verbs.reveal,
    h: () => page.getElementById("explain")?.togglePopover(),
    k: verbs.pin,
    l: lookUp,
    e: () => editor.focus(),
    "?": () => page.getElementById("keys-open")?.click(),
    i: () => (inspecting(read()) ? verbs.setInspector(false) : verbs.openTab(read().frame.tab, "[role=tab][aria-selected=true]")),
  };

  page.addEventListener("keydown", (event) => {
    if (list.open || event.defaultPrevented || event.altKey || event.isComposing) return;
    const state = read();
    const target = /** @type {Element} */ (event.target);
    const writing = target.matches("textarea, input:not([type=range])");
    if (event.ctrlKey || event.metaKey) {
      // In a text field, undo its typing; elsewhere, and in an editor without new typing, undo a step.
      const step = { z: event.shiftKey ? verbs.redo : verbs.undo, y: verbs.redo }[event.key.toLowerCase()];
      if (!step || (writing && (target !== editor || state.session !== null))) return;
      event.preventDefault();
      step();
      return;
    }
    if (event.key === "Escape" && target.matches("#text, .turn textarea")) return first()?.focus();
    if (event.key === "Escape" && !page.querySelector(":popover-open:not(#tour)")) {
      if (state.room.tour.at !== null) return verbs.endTour();
      if (state.room.presenting) return verbs.present(false);
    }
    const body = target.matches("body, main, button, .tour") && !target.closest(".bars, .tokens, .inspector, [popover]:not(.tour)");
    if (body && MOVES[event.key]) {
      event.preventDefault();
      return MOVES[event.key]();
    }
    if (target.closest("input, select, textarea, dialog, [contenteditable]:not([contenteditable=false])") || !state.room.keys) return;
    if (/^\d$/.test(event.key)) button(`.bars [data-index='${(Number(event.key) + 9) % 10}']`)?.click();
    else if (VERBS[event.key.toLowerCase()]) VERBS[event.key.toLowerCase()]();
    else return;
    event.preventDefault();
  });
}
