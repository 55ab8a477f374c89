/**
 * More tools, and hiding bars behind a button until guessed.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { hidden } from "../../core/questions.js";
import { afterwards, setHidden } from "../../ui/dom.js";

/** @param {Document} page @param {Verbs} verbs @returns {(state: State) => void} */
export function mountGuess(page, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (page.querySelector(selector));
  const [extras, curtain] = ["#extras", "#guess"].map(part);
  const [present, guess, tour, reveal] = ["#extras [data-verb=present]", "#extras [data-verb=guess]", "#extras [data-verb=tour]", "#guess [data-verb=reveal]"].map(part);
  /** @type {State["current"] | undefined} */
  let coveredAt;

  extras.addEventListener("click", (event) => {
    if (/** @type {Element} */ (event.target).closest("button")) extras.hidePopover();
  });
  present.addEventListener("click", () => verbs.present(true));
  guess.addEventListener("click", () => verbs.guess(guess.ariaPressed !== "true"));
  tour.addEventListener("click", verbs.beginTour);
  reveal.addEventListener("click", verbs.reveal);

  return (state) => {
    guess.ariaPressed = String(state.room.guessing);
    const behind = hidden(state);
    const focused = curtain.contains(page.activeElement);
    page.documentElement.toggleAttribute("data-guessing", behind);
    setHidden(curtain, !behind);
    /** @type {HTMLButtonElement} */ (reveal).disabled = state.draft !== null;
    const covered = behind && coveredAt !== state.current;
    coveredAt = behind ? state.current : undefined;
    // The focused bar is gone.
    if (covered) afterwards(() => page.activeElement === page.body && reveal.focus());
    if (focused && !behind) /** @type {HTMLElement | null} */ (page.querySelector(".bars [tabindex='0']"))?.focus();
  };
}
