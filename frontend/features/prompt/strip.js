/**
 * The tokens of the text as chips; those that share a character are joined, and the first shows it. Clicking a chip shows
 * its alternatives, or moves ahead to it. Chips are keyed by their tokens.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tree.js").Node} Node
 * @typedef {import("../../core/tokens.js").Group} Group
 */
import * as format from "../../core/format.js";
import { chosen } from "../../core/lookback.js";
import { ending } from "../../core/state.js";
import { bytePieces, groups, noToken } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { PROMPT } from "../../core/words.js";
import { afterwards, setAttribute } from "../../ui/dom.js";
import { drawPieces } from "../../ui/token.js";
import { bitsOf, level } from "../scores/model.js";
import { unread } from "./model.js";

const MOST_SHOWN = 400;

/** @param {HTMLElement} strip @param {Verbs} verbs @returns {(state: State) => void} */
export function mountStrip(strip, verbs) {
  /** @type {Map<string, HTMLButtonElement>} */
  let chips = new Map();
  const earlier = document.createElement("span");
  earlier.className = "earlier";
  /** @type {unknown[]} */
  let drawn = [];
  /** @type {unknown} */
  let drawnEnd = null;
  /** @type {HTMLElement | undefined} */
  let reached;
  /** @type {HTMLElement | undefined} */
  let last;
  const toLast = () => last && (strip.scrollTop = last.offsetTop + last.offsetHeight - strip.clientHeight);
  new ResizeObserver(toLast).observe(strip);

  strip.addEventListener("click", (event) => {
    const chip = /** @type {HTMLElement} */ (event.target).closest("button");
    if (chip?.dataset.to) verbs.goTo(Number(chip.dataset.to));
    else if (chip?.dataset.look) verbs.look(Number(chip.dataset.look));
  });
  strip.addEventListener("keydown", (event) => {
    const buttons = [...strip.querySelectorAll("button")];
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    buttons[to]?.focus();
  });
  strip.addEventListener("copy", (event) => {
    const range = getSelection()?.getRangeAt(0);
    if (!range || !strip.contains(range.commonAncestorContainer)) return;
    // On copy, join the chips' text without line breaks or special tokens.
    const picked = range.cloneContents();
    for (const mark of picked.querySelectorAll(".special")) mark.remove();
    if (!picked.textContent) return;
    event.clipboardData?.setData("text/plain", picked.textContent);
    event.preventDefault();
  });
  strip.addEventListener("focusin", (event) => {
    reach(/** @type {HTMLElement} */ (event.target));
  });

  /** @param {HTMLElement | undefined} chip the one in the tab order */
  function reach(chip) {
    if (reached !== chip) reached?.setAttribute("tabindex", "-1");
    if (chip) setAttribute(chip, "tabindex", "0");
    reached = chip;
  }

  return (state) => {
    const end = unread(state) ? null : ending(state);
    const now = [state.tree, end, state.current, state.shading.by];
    if (now.every((each, at) => each === drawn[at])) return;
    drawn = now;
    const nodes = end === null ? [] : tree.path(state.tree, end);
    const onward = end === null || state.end !== null ? [] : tree.onward(state.tree, end);
    const from = Math.max(0, nodes.length - MOST_SHOWN);
    const near = nodes.slice(from);
    if (from) earlier.textContent = `… ${format.count(from)} earlier tokens`;
    const looked = chosen(state)?.id;
    const focused = [...strip.children].indexOf(/** @type {Element} */ (document.activeElement));
    const kept = chips;
    chips = new Map();
    const draw = (/** @type {Node[]} */ all, /** @type {number} */ before, /** @type {boolean} */ ahead) => {
      let after = false;
      return groups(tree.tokens(all)).flatMap((group) => {
        const members = all.slice(group.start, group.start + group.count);
        const heat = ahead ? null : level(bitsOf(members, state.shading.by), state.shading.by);
        return members.map((member, at) => {
          const key = `${ahead} ${member.id} ${at} ${members.map(({ id }) => id).join()}`;
          const chip = kept.get(key) ?? createChip(members, at, group, ahead);
          chips.set(key, chip);
          const here = member.id === looked;
          chip.classList.toggle("odd", (before + group.start) % 2 === 1);
          chip.classList.toggle("behind", after);
          after ||= here;
          if (heat === null) chip.removeAttribute("data-level");
          else setAttribute(chip, "data-level", String(heat));
          if (here) setAttribute(chip, "aria-current", "location");
          else chip.removeAttribute("aria-current");
          return chip;
        });
      });
    };
    const here = draw(near, from, false);
    const ahead = draw(onward, nodes.length, true);
    arrange(strip, [...(from ? [earlier] : []), ...here, ...ahead]);
    last = here.find((chip) => chip.ariaCurrent) ?? here.at(-1) ?? ahead[0];
    reach(last);
    if (focused >= 0 && !strip.contains(document.activeElement)) {
      /** @type {HTMLElement | undefined} */ (strip.children[Math.min(focused, strip.children.length - 1)])?.focus();
    } else if (focused < 0 && last && drawnEnd !== end) {
      afterwards(toLast);
    }
    drawnEnd = end;
  };
}

/** @param {HTMLElement} strip @param {readonly HTMLElement[]} wanted its children, in this order; those already in place are not moved */
function arrange(strip, wanted) {
  const kept = new Set(wanted);
  for (const child of [...strip.children]) if (!kept.has(/** @type {HTMLElement} */ (child))) child.remove();
  wanted.forEach((child, at) => {
    if (strip.children[at] !== child) strip.insertBefore(child, strip.children[at] ?? null);
  });
}

/**
 * The chip of one of the tokens that make up a character; the first shows it, each further one its own bytes.
 * @param {Node[]} members @param {number} at @param {Group} group of them @param {boolean} onward @returns {HTMLButtonElement}
 */
export function createChip(members, at, group, onward) {
  const token = /** @type {import("../../core/tokens.js").Token} */ (members[at].token);
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.className = "token";
  button.classList.toggle("special", group.special);
  button.classList.toggle("none", noToken(token));
  button.classList.toggle("onward", onward);
  button.dataset.nodes = String(members[at].id);
  const part = group.count > 1 ? PROMPT.part(at + 1, group.count) : "";
  const words = group.pieces.map((piece) => piece.spoken).join(" ");
  if (onward) button.dataset.to = String(members[at].id);
  else button.dataset.look = String(members[at].id);
  const shows = at === 0 && group.pieces.some((piece) => piece.kind !== "byte");
  button.append(drawPieces(part && !shows ? bytePieces(token) : group.pieces));
  if (part) button.dataset.part = String(at + 1);
  button.setAttribute("aria-label", `${words}${part}: ${onward ? "go on to here" : "what else could go here"}`);
  if (!at) for (const piece of group.pieces) if (piece.text.includes("\n")) button.classList.add("breaks");
  return button;
}
