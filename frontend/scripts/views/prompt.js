/**
 * The text: an editor, and beneath it the tokens the model reads.
 *
 * @typedef {import("../main.js").Verbs} Verbs
 * @typedef {import("../state.js").State} State
 * @typedef {import("../tree.js").Node} Node
 * @typedef {import("../tokens.js").Group} Group
 */
import * as format from "../format.js";
import { answerHere } from "../questions.js";
import { textHere } from "../state.js";
import { groups, hex } from "../tokens.js";
import * as tree from "../tree.js";
import { drawPieces } from "./pieces.js";
import { setText } from "./row.js";

const MOST_SHOWN = 400;

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountPrompt(root, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const editor = /** @type {HTMLTextAreaElement} */ (root.querySelector("textarea"));
  const [strip, count, note, trouble] = [".tokens", ".prompt-count", ".prompt-note", ".trouble"].map(part);
  const [undo, redo] = ["undo", "redo"].map((verb) => /** @type {HTMLButtonElement} */ (part(`[data-verb=${verb}]`)));
  /** @type {unknown[]} */
  let drawn = [];

  editor.addEventListener("input", () => verbs.edit(editor.value));
  editor.addEventListener("blur", verbs.rest);
  undo.addEventListener("click", verbs.undo);
  redo.addEventListener("click", verbs.redo);
  strip.addEventListener("click", (event) => {
    const target = /** @type {HTMLElement} */ (event.target).closest("button");
    if (target) verbs.goTo(Number(target.dataset.to));
  });
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    if (!step) return;
    const sibling = /** @type {any} */ (document.activeElement)?.[step];
    if (sibling instanceof HTMLButtonElement) sibling.focus();
  });
  strip.addEventListener("focusin", (event) => {
    for (const each of strip.querySelectorAll("button")) each.tabIndex = each === event.target ? 0 : -1;
  });

  /** @param {State} state */
  function update(state) {
    const text = state.draft ?? textHere(state);
    if (editor.value !== text) {
      editor.value = text;
      editor.scrollTop = editor.scrollHeight;
    }
    undo.disabled = !state.past.length && !(state.draft !== null && state.current !== null);
    redo.disabled = !state.future.length;
    root.toggleAttribute("data-draft", state.draft !== null);
    const limit = answerHere(state)?.contextLimit;
    const nodes = state.current === null ? [] : tree.path(state.tree, state.current);
    const number = nodes.length === 1 ? "1 token" : `${format.count(nodes.length)} tokens`;
    if (state.draft === null && limit) setText(count, `${number} of ${format.count(limit)}`);
    showTrouble(state);
    showNote(nodes);
    if (drawn[0] === state.tree && drawn[1] === state.current) return;
    drawn = [state.tree, state.current];
    drawStrip(state, nodes);
  }

  /** @param {State} state @param {Node[]} nodes */
  function drawStrip(state, nodes) {
    const onward = state.current === null ? [] : tree.onward(state.tree, state.current);
    const from = Math.max(0, nodes.length - MOST_SHOWN);
    const near = nodes.slice(from);
    const here = groups(tree.tokens(near)).map((group) => chip(near, group, from, false));
    const ahead = groups(tree.tokens(onward)).map((group) => chip(onward, group, nodes.length, true));
    const focused = [...strip.children].indexOf(/** @type {Element} */ (document.activeElement));
    strip.dir = editor.matches(":dir(rtl)") ? "rtl" : "ltr";
    strip.replaceChildren(...(from ? [earlier(from)] : []), ...here, ...ahead);
    const last = here.at(-1) ?? ahead[0];
    if (last) last.tabIndex = 0;
    const still = /** @type {HTMLElement | undefined} */ (strip.children[Math.min(focused, strip.children.length - 1)]);
    if (focused >= 0) still?.focus();
    else if (last) strip.scrollTop = last.offsetTop + last.offsetHeight - strip.clientHeight;
  }

  /** @param {State} state */
  function showTrouble({ trouble: found }) {
    const here = found && (found.field === "text" || found.field === "token_ids") ? found : null;
    trouble.hidden = !here;
    setText(trouble, here ? format.beside(here.message, here.field) : "");
    editor.setAttribute("aria-invalid", String(!trouble.hidden));
  }

  /** @param {Node[]} nodes */
  function showNote(nodes) {
    const chosen = tree.tokens(nodes.slice(nodes.findLastIndex((each) => each.typed !== null) + 1));
    const mark = chosen.some((token) => token.special);
    const half = groups(chosen).some((group) => group.pieces.some((piece) => piece.kind === "byte"));
    note.hidden = !mark && !half;
    const what = mark && half ? "Marks and half characters" : mark ? "Marks" : "Half characters";
    setText(note, note.hidden ? "" : `${what} are not text: they drop out when the text is edited by hand.`);
  }

  return update;
}

/**
 * @param {Node[]} nodes @param {Group} group of them @param {number} from how many tokens stand before the nodes
 * @param {boolean} onward whether they followed the text at hand
 * @returns {HTMLButtonElement}
 */
function chip(nodes, group, from, onward) {
  const members = nodes.slice(group.start, group.start + group.count);
  const last = members[members.length - 1];
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.className = "token";
  button.classList.toggle("special", group.special);
  button.classList.toggle("onward", onward);
  button.classList.toggle("odd", (from + group.start) % 2 === 1);
  // A token of the text leads back to where it was chosen; one that followed leads on to it.
  button.dataset.to = String(onward ? last.id : members[0].parent);
  button.append(drawPieces(group.pieces));
  if (group.count > 1) button.dataset.count = String(group.count);
  const words = group.pieces.map((piece) => piece.spoken).join(" ");
  button.setAttribute("aria-label", `${words}: ${onward ? "go on to here" : "go back to before it"}`);
  button.title = members.map(detail).join("\n");
  for (const piece of group.pieces) if (piece.text.includes("\n")) button.classList.add("breaks");
  return button;
}

/** @param {Node} node @returns {string} */
function detail({ token, probability, rank }) {
  if (!token) return "";
  return [
    `id ${token.id}`,
    token.special ? "special" : `bytes ${hex(token.bytes.subarray(0, 24))}`,
    ...(probability === null ? [] : [format.percent(probability)]),
    ...(rank === null ? [] : [`rank ${format.count(rank)}`]),
  ].join(", ");
}

/** @param {number} count @returns {HTMLElement} */
function earlier(count) {
  const made = document.createElement("span");
  made.className = "earlier";
  made.textContent = `… ${format.count(count)} earlier tokens`;
  return made;
}
