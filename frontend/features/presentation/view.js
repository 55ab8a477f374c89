/**
 * Presenting in large type, and hiding bars behind a button until guessed.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { stepsWords } from "../../core/chain.js";
import { shortName } from "../../core/format.js";
import { hidden } from "../../core/questions.js";
import { afterwards, setText } from "../../ui/dom.js";
import { statusLine } from "../status/model.js";

/** @param {Document} page @param {Verbs} verbs @returns {(state: State) => void} */
export function mountPresentation(page, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (page.querySelector(selector));
  const [extras, line, words, curtain] = ["#extras", "#room-line", ".room-words", "#guess"].map(part);
  const [present, guess, tour, reveal] = ["#extras [data-verb=present]", "#extras [data-verb=guess]", "#extras [data-verb=tour]", "#guess [data-verb=reveal]"].map(part);
  const root = page.documentElement;
  let presenting = false;
  /** @type {State["current"] | undefined} */
  let coveredAt;
  let full = false; // whether the presentation is in full screen

  extras.addEventListener("click", (event) => {
    if (/** @type {Element} */ (event.target).closest("button")) extras.hidePopover();
  });
  present.addEventListener("click", () => verbs.present(true));
  guess.addEventListener("click", () => verbs.guess(guess.ariaPressed !== "true"));
  tour.addEventListener("click", verbs.beginTour);
  reveal.addEventListener("click", verbs.reveal);
    // Escape leaves full screen without a key event on the page.
  page.addEventListener("fullscreenchange", () => {
    if (full && !page.fullscreenElement) verbs.present(false);
    full = page.fullscreenElement !== null;
  });

  return (state) => {
    const { room, settings, model } = state;
    if (room.presenting !== presenting) {
      presenting = room.presenting;
      full = false; // a late exit belongs to the previous presentation
      root.toggleAttribute("data-presenting", presenting);
      // If full screen is refused, present within the window.
      if (presenting) root.requestFullscreen?.().catch(() => {});
      else if (page.fullscreenElement) page.exitFullscreen().catch(() => {});
      // The focused element may be hidden now: move focus to the bars, and back afterwards.
      afterwards(() => {
        const to = presenting ? ".bars [tabindex='0']" : "#extras-open";
        if (!page.activeElement?.checkVisibility()) /** @type {HTMLElement | null} */ (page.querySelector(to))?.focus();
      });
    }
    line.hidden = !presenting;
    const cut = [settings.topP < 1 ? `top-p ${settings.topP}` : "", settings.minP > 0 ? `min-p ${settings.minP}` : "", stepsWords(settings)].filter(Boolean);
    const { tone, words: busy } = statusLine(state);
    setText(words, [tone === "busy" ? busy : model === null ? "" : shortName(model), `temperature ${settings.temperature}`, ...cut].filter(Boolean).join(" · "));
    guess.ariaPressed = String(room.guessing);
    const behind = hidden(state);
    const focused = curtain.contains(page.activeElement);
    root.toggleAttribute("data-guessing", behind);
    curtain.hidden = !behind;
    /** @type {HTMLButtonElement} */ (reveal).disabled = state.draft !== null;
    const covered = behind && coveredAt !== state.current;
    coveredAt = behind ? state.current : undefined;
    // The focused bar is gone.
    if (covered) afterwards(() => page.activeElement === page.body && reveal.focus());
    if (focused && !behind) /** @type {HTMLElement | null} */ (page.querySelector(".bars [tabindex='0']"))?.focus();
  };
}
