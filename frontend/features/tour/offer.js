/**
 * Invites first visitors to the tour.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { afterwards, setHidden } from "../../ui/dom.js";
import { offer } from "./model.js";

/** @param {HTMLElement} invitation @param {Verbs} verbs @returns {(state: State) => void} */
export function mountOffer(invitation, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (invitation.querySelector(selector));
  part("[data-verb=tour]").addEventListener("click", verbs.beginTour);
  part("[data-verb=decline]").addEventListener("click", verbs.declineTour);

  const name = /** @type {HTMLElement} */ (document.querySelector(".models-name"));
  let offered = false;
  /** @type {unknown[]} */
  let fitted = [];

  /** The model's name comes first: no offer where it would cut it. */
  function yieldToName() {
    const now = [offered, name.textContent, innerWidth, invitation.parentElement?.hasAttribute("data-silent")];
    if (now.every((each, index) => each === fitted[index])) return;
    fitted = now;
    setHidden(invitation, !offered);
    const width = name.clientWidth;
    if (!offered || name.scrollWidth <= width) return;
    setHidden(invitation, true);
    setHidden(invitation, name.clientWidth > width);
  }

  addEventListener("resize", yieldToName);

  return (state) => {
    const now = offer(state);
    if (now || offered) {
      offered = now;
      afterwards(yieldToName);
    } else setHidden(invitation, true);
  };
}
