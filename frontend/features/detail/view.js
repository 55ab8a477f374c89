/**
 * A card with a token's id, bytes, probability and rank, shown on hover, focus or tap. It can itself be hovered; Escape
 * closes it.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { groups } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { afterwards } from "../../ui/dom.js";
import { drawPieces } from "../../ui/token.js";
import { detail } from "./model.js";

const [SHOW_MS, HIDE_MS] = [150, 200];
const [GAP, EDGE] = [6, 8]; // pixels

/** @param {HTMLElement} card @param {HTMLElement} strip the tokens @param {Verbs} verbs @returns {(state: State) => void} */
export function mountDetail(card, strip, verbs) {
  /** @type {HTMLElement | null} */
  let chip = null;
  /** @type {Element | null} */
  let clicked = null;
  let touched = false;
  /** @type {State | null} */
  let state = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const chipOf = (/** @type {Event} */ event) => /** @type {Element} */ (event.target).closest?.("[data-nodes]");

  strip.addEventListener("pointerover", (event) => {
    const over = chipOf(event);
    if (over !== clicked) clicked = null;
    if (event.pointerType === "mouse" && over && !clicked) soon(() => show(/** @type {HTMLElement} */ (over)), chip ? 0 : SHOW_MS);
  });
  for (const each of [strip, card]) {
    each.addEventListener("pointerleave", (event) => {
      if (/** @type {PointerEvent} */ (event).pointerType === "mouse") soon(hide, HIDE_MS);
    });
  }
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  strip.addEventListener("focusin", (event) => {
    const at = chipOf(event);
    if (at?.matches(":focus-visible")) show(/** @type {HTMLElement} */ (at));
  });
  strip.addEventListener("focusout", hide);
  strip.addEventListener("click", (event) => {
    const at = chipOf(event) ?? null;
    if (/** @type {PointerEvent} */ (event).pointerType === "touch" && at) return show(/** @type {HTMLElement} */ (at), true);
    // The click shows the bars at that position; the card would cover them.
    clicked = at;
    hide();
  });
  strip.addEventListener("scroll", place, { passive: true });
  document.addEventListener("scroll", place, { passive: true });
  document.addEventListener("pointerdown", (event) => {
    if (chip && !card.contains(/** @type {Node} */ (event.target)) && !chip.contains(/** @type {Node} */ (event.target))) hide();
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide(), { capture: true });

  /** @param {() => void} act @param {number} wait */
  function soon(act, wait) {
    clearTimeout(timer);
    timer = setTimeout(act, wait);
  }

  /** @param {HTMLElement} at @param {boolean} byTouch */
  function show(at, byTouch = false) {
    clearTimeout(timer);
    if (!at.isConnected || !state) return;
    touched = byTouch;
    chip?.removeAttribute("aria-describedby");
    chip = at;
    chip.setAttribute("aria-describedby", card.id);
    draw(state);
    card.showPopover();
    place();
    const unknown = members(state).some((node) => !node.score);
    verbs.inspect(unknown && !chip.dataset.to);
  }

  function hide() {
    clearTimeout(timer);
    if (!chip) return;
    chip.removeAttribute("aria-describedby");
    chip = null;
    card.hidePopover();
    verbs.inspect(false);
  }

  /**
   * Places it below its token, or above if there is no room, within the window; after a tap, at the token's start and below
   * the line that leads back to the end.
   */
  function place() {
    if (!chip) return;
    const at = chip.getBoundingClientRect();
    const { width, height } = card.getBoundingClientRect();
    const line = touched ? document.querySelector(".look:not([hidden])")?.getBoundingClientRect() : undefined;
    const free = Math.max(at.bottom, line?.bottom ?? 0) + GAP;
    const below = free + height + EDGE <= innerHeight || at.top - GAP - height < EDGE;
    card.style.insetBlockStart = `${below ? free : at.top - GAP - height}px`;
    card.style.left = `${touched ? EDGE : Math.max(EDGE, Math.min(at.left, document.documentElement.clientWidth - width - EDGE))}px`;
  }

  /** @param {State} now @returns {import("../../core/tree.js").Node[]} */
  function members({ tree: all }) {
    const ids = chip?.dataset.nodes?.split(" ").map(Number) ?? [];
    return ids.flatMap((id) => all.nodes.get(id) ?? []);
  }

  /** @param {State} now */
  function draw(now) {
    const nodes = members(now);
    card.replaceChildren(...nodes.map((node) => {
      const list = document.createElement("dl");
      const [group] = groups(tree.tokens([node]));
      const name = document.createElement("p");
      name.append(drawPieces(group?.pieces ?? []));
      for (const [term, value] of detail(now, node)) {
        const row = document.createElement("div");
        row.append(cell("dt", term), cell("dd", value));
        list.append(row);
      }
      const part = document.createElement("div");
      part.append(name, list);
      return part;
    }));
  }

  return (now) => {
    const news = now.tree !== state?.tree || now.shading !== state.shading;
    const moved = now.current !== state?.current;
    state = now;
    if (chip && !chip.isConnected) hide();
    else if (chip && news) draw(now);
    if (chip && (news || moved)) afterwards(place);
  };
}

/** @param {"dt" | "dd"} kind @param {string} text */
function cell(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}
