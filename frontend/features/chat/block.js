/**
 * One turn of a conversation: a rail in its role's colour, its words, and its tokens.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Role} Role
 * @typedef {import("./model.js").Block} Block
 */
import { chosen } from "../../core/lookback.js";
import { groups } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { build } from "../../ui/build.js";
import { setAttribute, setText } from "../../ui/dom.js";
import { createChip } from "../prompt/strip.js";
import { CHAT, ROLES } from "./words.js";

const MOST_SHOWN = 400;

/**
 * @param {{change: (at: number, changes: {role?: Role, content?: string}) => void, remove: (at: number) => void, rewrite: () => void,
 *   clear: () => void, look: (id: number) => void, settle: () => void, answer: () => void}} acts
 */
export function createBlock(acts) {
  const role = build("select", { class: "turn-role" }, ...Object.entries(ROLES).map(([value, name]) => build("option", { value }, name)));
  const name = build("span", { class: "turn-name" });
  const button = (/** @type {string} */ words, /** @type {() => void} */ press) => {
    const made = build("button", { type: "button", class: "quiet" }, words);
    made.addEventListener("click", press);
    return made;
  };
  const [rewrite, clear] = [button(CHAT.rewrite, acts.rewrite), button(CHAT.clear, acts.clear)];
  const remove = button("×", () => acts.remove(at));
  const words = build("textarea", { rows: "1", dir: "auto", spellcheck: "false", autocomplete: "off" });
  const tokens = build("div", { class: "turn-tokens", role: "group" });
  const hint = build("p", { class: "turn-hint" });
  const root = build(
    "li",
    { class: "turn" },
    build("div", { class: "turn-head" }, role, name),
    build("div", { class: "turn-body" }, words, tokens, hint),
    build("div", { class: "turn-acts" }, rewrite, clear, remove),
  );
  let at = -1;
  /** @type {unknown[]} */
  let drawn = [];

  role.addEventListener("change", () => acts.change(at, { role: /** @type {Role} */ (role.value) }));
  words.addEventListener("input", () => acts.change(at, { content: words.value }));
  words.addEventListener("blur", acts.settle);
  words.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !root.matches(":nth-last-child(2)")) return;
    event.preventDefault();
    event.stopPropagation();
    acts.answer();
  });
  tokens.addEventListener("click", (event) => {
    const look = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset.look;
    if (look) acts.look(Number(look));
  });
  tokens.addEventListener("keydown", (event) => {
    const chips = [...tokens.querySelectorAll("button")];
    const from = chips.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = { ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: chips.length - 1 }[event.key];
    if (to === undefined || from < 0) return;
    event.preventDefault();
    chips[to]?.focus();
  });

  /** @param {State} state @param {Block} block @param {string | null} content of its turn @param {boolean} marks */
  function update(state, block, content, marks) {
    at = block.at ?? -1;
    const called = block.role === null ? CHAT.template : ROLES[block.role];
    setAttribute(root, "data-role", block.role ?? "none");
    root.toggleAttribute("data-open", block.open);
    root.hidden = block.role === null && !marks;
    role.hidden = words.hidden = content === null;
    name.hidden = content !== null;
    remove.hidden = content === null;
    setText(name, called);
    if (content !== null) {
      if (block.role && role.value !== block.role) role.value = block.role;
      setAttribute(role, "aria-label", CHAT.role(at + 1));
      setAttribute(words, "aria-label", CHAT.content(called, at + 1));
      setAttribute(words, "placeholder", block.role === "user" ? CHAT.placeholder : "");
      setAttribute(remove, "aria-label", CHAT.remove(called, at + 1));
      if (words.value !== content) words.value = content;
    }
    const picked = block.open && content === null && block.nodes.some((each) => each.content);
    rewrite.hidden = !picked;
    clear.hidden = !picked;
    drawTokens(state, block, marks);
    setText(hint, block.open && content === null && !block.nodes.some((each) => each.content) ? CHAT.empty : "");
    hint.hidden = !hint.textContent;
  }

  /** @param {State} state @param {Block} block @param {boolean} marks */
  function drawTokens(state, block, marks) {
    const shown = block.nodes.filter(({ own }) => marks || own);
    const near = shown.slice(-MOST_SHOWN);
    const looked = chosen(state)?.id ?? null;
    const now = [near.map(({ node }) => node.id).join(), looked, marks];
    tokens.hidden = !near.length;
    if (now.every((each, index) => each === drawn[index])) return;
    drawn = now;
    setAttribute(tokens, "aria-label", CHAT.tokens(block.role === null ? CHAT.template : ROLES[block.role]));
    const focused = [...tokens.children].indexOf(/** @type {Element} */ (document.activeElement));
    const nodes = near.map(({ node }) => node);
    const chips = groups(tree.tokens(nodes)).flatMap((group) => {
      const members = nodes.slice(group.start, group.start + group.count);
      return members.map((member, index) => {
        const chip = createChip(members, index, group, false);
        chip.classList.toggle("odd", (group.start + index) % 2 === 1);
        chip.classList.toggle("ghost", !near[group.start + index].content);
        if (member.id === looked) chip.setAttribute("aria-current", "location");
        return chip;
      });
    });
    if (chips.length) chips.at(-1)?.setAttribute("tabindex", "0");
    const cut = shown.length - near.length;
    tokens.replaceChildren(...(cut ? [build("span", { class: "earlier" }, CHAT.earlier(cut))] : []), ...chips);
    if (focused >= 0) /** @type {HTMLElement | undefined} */ (tokens.children[Math.min(focused, tokens.children.length - 1)])?.focus();
  }

  return { root, words, update };
}
