/**
 * The tour's card next to its element, and the invitation to first visitors. The page stays usable meanwhile.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { afterwards, setText } from "../../ui/dom.js";
import { LENGTH, offer } from "./model.js";

/** @param {HTMLElement} root @param {HTMLElement} invitation @param {Verbs} verbs @returns {(state: State) => void} */
export function mountTour(root, invitation, verbs) {
  const part = (/** @type {string} */ selector, from = root) => /** @type {HTMLElement} */ (from.querySelector(selector));
  const [count, title, words, next] = [".tour-count", "h2", "#tour-words", "[data-verb=next]"].map((selector) => part(selector));
  const fresh = part("[data-verb=fresh]");
  const [back, end] = ["[data-verb=back]", "[data-verb=end]"].map((selector) => part(selector));
  let at = /** @type {number | null} */ (null);
  /** @type {HTMLElement | null} */
  let pointed = null;

  part("[data-verb=tour]", invitation).addEventListener("click", verbs.beginTour);
  part("[data-verb=decline]", invitation).addEventListener("click", verbs.endTour);
  next.addEventListener("click", () => verbs.walk(1));
  back.addEventListener("click", () => verbs.walk(-1));
  end.addEventListener("click", verbs.endTour);
  fresh.addEventListener("click", () => {
    verbs.freshTour();
    root.focus();
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target !== root) return;
    event.preventDefault();
    verbs.walk(1);
  });

  const name = /** @type {HTMLElement} */ (document.querySelector(".models-name"));
  let offered = false;
  /** @type {unknown[]} */
  let fitted = [];

  /** The model's name comes first: no offer where it would cut it. */
  function yieldToName() {
    const now = [offered, name.textContent, innerWidth, invitation.parentElement?.hasAttribute("data-silent")];
    if (now.every((each, index) => each === fitted[index])) return;
    fitted = now;
    invitation.hidden = !offered;
    const width = name.clientWidth;
    if (!offered || name.scrollWidth <= width) return;
    invitation.hidden = true;
    invitation.hidden = name.clientWidth > width;
  }

  addEventListener("resize", yieldToName);

  /** @type {typeof import("./stops.js") | null} */
  let stops = null;
  let loading = false;

  async function load() {
    if (loading) return;
    loading = true;
    try {
      stops = await import("./stops.js");
      verbs.walk(0); // draws it
    } catch {
      // The next change tries again.
    } finally {
      loading = false;
    }
  }

  return (state) => {
    const now = offer(state);
    if (now || offered) {
      offered = now;
      afterwards(yieldToName);
    } else invitation.hidden = true;
    if (state.room.tour.at !== null && !stops) void load();
    const here = stops?.stop(state) ?? null;
    const target = here && document.getElementById(here.target);
    if (target !== pointed) {
      pointed?.removeAttribute("data-tour");
      target?.setAttribute("data-tour", "");
      pointed = target;
    }
    if (!here) {
      if (at === null) return;
      at = null;
      root.hidePopover();
      /** @type {HTMLElement | null} */ (document.querySelector(".bars [tabindex='0']"))?.focus();
      return;
    }
    root.dataset.target = here.target;
    setText(count, `${Number(state.room.tour.at) + 1} of ${LENGTH}`);
    setText(title, here.title);
    setText(words, here.words);
    root.toggleAttribute("data-tried", here.tried);
    fresh.hidden = !here.fresh;
    setText(next, state.room.tour.at === LENGTH - 1 ? "Done" : "Next");
    /** @type {HTMLButtonElement} */ (back).disabled = state.room.tour.at === 0;
    if (state.room.tour.at === at) return;
    at = state.room.tour.at;
    if (!root.matches(":popover-open")) root.showPopover();
    root.focus();
  };
}
