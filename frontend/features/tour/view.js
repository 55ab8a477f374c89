/**
 * The tour's card next to its element. The page stays usable meanwhile.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { TOUR } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setText } from "../../ui/dom.js";
import { stop } from "./stops.js";
import { LENGTH, refresh, walk } from "./walk.js";

/** @param {HTMLElement} root @param {import("../frame/room.js").Page} page @returns {(state: State) => void} */
export function mount(root, { act, verbs }) {
  const [count, title, words] = [build("p", { class: "tour-count" }), build("h2", { id: "tour-title" }), build("p", { id: "tour-words", "aria-live": "polite" })];
  const button = (/** @type {string} */ verb, /** @type {string} */ name, /** @type {() => void} */ press, kind = "") => {
    const made = build("button", { type: "button", "data-verb": verb, class: kind || false }, name);
    made.addEventListener("click", press);
    return made;
  };
  const end = button("end", TOUR.skip, verbs.endTour, "quiet");
  const back = button("back", TOUR.back, () => act((now) => walk(now, -1)));
  const next = button("next", TOUR.next, () => act((now) => walk(now, 1)), "primary");
  const fresh = button("fresh", TOUR.fresh, () => {
    act(refresh);
    root.focus();
  }, "quiet");
  root.append(count, title, words, build("div", { class: "tour-moves" }, end, fresh, back, next));
  let at = /** @type {number | null} */ (null);
  /** @type {HTMLElement | null} */
  let pointed = null;

  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target !== root) return;
    event.preventDefault();
    act((now) => walk(now, 1));
  });

  return (state) => {
    const here = stop(state);
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
    setText(count, TOUR.count(Number(state.room.tour.at) + 1, LENGTH));
    setText(title, here.title);
    setText(words, here.words);
    root.toggleAttribute("data-tried", here.tried);
    fresh.hidden = !here.fresh;
    setText(next, state.room.tour.at === LENGTH - 1 ? TOUR.done : TOUR.next);
    back.hidden = state.room.tour.at === 0;
    if (state.room.tour.at === at) return;
    at = state.room.tour.at;
    if (!root.matches(":popover-open")) root.showPopover();
    root.focus();
  };
}
