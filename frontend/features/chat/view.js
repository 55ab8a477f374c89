/**
 * The surface Chat: turns with roles. The open turn, the assistant's, is the prompt being built: bars and Generate go on with it.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../frame/room.js").Page} Page
 */
import { talking } from "../../core/chat.js";
import * as format from "../../core/format.js";
import { answerHere } from "../../core/questions.js";
import { ending } from "../../core/state.js";
import * as tree from "../../core/tree.js";
import { createAsker } from "../../net/asker.js";
import { renderChat } from "../../net/chat.js";
import { build } from "../../ui/build.js";
import { afterwards, setText } from "../../ui/dom.js";
import { drawIcon } from "../../ui/token.js";
import { find } from "../models/model.js";
import { createBlock } from "./block.js";
import * as models from "./model.js";
import { readOther, specialWords } from "./reading.js";
import { follow } from "./surface.js";
import { CHAT } from "./words.js";

const TYPING_MS = 150;

/** @param {HTMLElement} root @param {Page} page @returns {(state: State) => void} */
export function mount(root, { act, draw, read, consider, verbs }) {
  const button = (/** @type {string} */ words, /** @type {() => void} */ press) => {
    const made = build("button", { type: "button", class: "quiet" }, words);
    made.addEventListener("click", press);
    return made;
  };
  const none = build("p", { class: "chat-none", role: "status" });
  const list = build("ol", { class: "turns", "aria-label": CHAT.label });
  const trouble = build("p", { class: "trouble", role: "status" });
  const again = button(CHAT.again, () => act(models.retry));
  const other = button("", () => act(readOther));
  const reading = build("span");
  const special = build("p", { class: "special-note", role: "status" }, reading, " ", other);
  const reply = button(CHAT.reply, () => aim(models.reply));
  const instruct = button(CHAT.instruct, () => aim(models.instruct, 0));
  const marks = build("input", { type: "checkbox" });
  const count = build("p", { class: "prompt-count" });
  const step = (/** @type {string} */ words, /** @type {() => void} */ press, /** @type {string} */ path) => {
    const made = button("", press);
    made.append(drawIcon(path), build("span", {}, words));
    return made;
  };
  const undo = step(CHAT.undo, verbs.undo, "M6.5 3.5 3 7l3.5 3.5M3 7h6.5a3.5 3.5 0 0 1 0 7H8");
  const redo = step(CHAT.redo, verbs.redo, "M9.5 3.5 13 7l-3.5 3.5M13 7H6.5a3.5 3.5 0 0 0 0 7H8");
  const line = build("div", { class: "chat-line" }, reply, instruct, build("label", { class: "check" }, marks, " ", CHAT.marks), count, build("div", { class: "prompt-moves" }, undo, redo));
  root.append(none, list, special, trouble, again, line);

  marks.addEventListener("change", () => {
    act((now) => models.showMarks(now, marks.checked));
    if (atEnd) afterwards(toEnd);
  });
  /** @type {Map<string, ReturnType<typeof createBlock>>} */
  let rows = new Map();
  /** @type {number | null} index of the turn whose words get the focus; -1: the last */
  let aimed = null;
  let eager = false;
  /** @type {number | null} */
  let scrolled = null;
  let atEnd = true;
  list.addEventListener("scroll", () => (atEnd = list.scrollHeight - list.clientHeight - list.scrollTop <= 2));
  const toEnd = () => (list.scrollTop = list.scrollHeight);
  new ResizeObserver(() => {
    if (atEnd && !list.matches(":focus-within")) toEnd();
  }).observe(list);

  const acts = {
    change: (/** @type {number} */ at, /** @type {Parameters<typeof models.change>[2]} */ changes) => act((now) => models.change(now, at, changes, changes.content !== undefined)),
    remove: (/** @type {number} */ at) => act((now) => models.remove(now, at)),
    rewrite: () => aim(models.rewrite),
    clear: () => act(models.clear),
    settle: () => act(models.settle),
    look: verbs.look,
    answer: () => {
      eager = true;
      act((now) => ({ ...now }));
    },
  };
  const asker = createAsker({
    read,
    act,
    ask: renderChat,
    wanted: models.wanted,
    receive: models.receive,
    fail: models.fail,
    retry: models.retry,
    delay: (now) => (now.chat.typing ? TYPING_MS : 0),
  });
  let following = false;
  consider(() => {
    asker.consider();
    if (following) return;
    following = true;
    act(follow);
    following = false;
  });
  act(follow);

  /** @param {(state: State) => State} transition @param {number} [at] */
  function aim(transition, at = -1) {
    aimed = at;
    act(transition);
    draw(); // the focus moves before the next key, and while a phone still opens its keyboard for it
  }

  /** Generates as soon as there is something to generate from, once Enter asked for it. @param {State} state */
  function answer(state) {
    if (!eager || talking(state) || state.draft !== null || !answerHere(state)) return;
    eager = false;
    queueMicrotask(() => verbs.play("write"));
  }

  return (state) => {
    const refused = models.refusal(state);
    const known = state.model !== null && find(state, state.model)?.facts;
    none.hidden = Boolean(known) && !refused;
    setText(none, !known ? CHAT.loading : refused ? CHAT.none(format.shortName(state.model ?? ""), sentence(refused)) : "");
    list.hidden = line.hidden = !none.hidden;
    const shown = none.hidden ? models.blocks(state) : [];
    const turns = models.turnsOf(state);
    const kept = rows;
    rows = new Map(shown.map(({ role, at }) => `${at ?? role}`).map((key) => [key, kept.get(key) ?? createBlock(acts)]));
    for (const [key, { root: gone }] of kept) if (!rows.has(key)) gone.remove();
    [...rows.values()].forEach((row, index) => {
      const block = shown[index];
      if (list.children[index] !== row.root) list.insertBefore(row.root, list.children[index] ?? null);
      row.update(state, block, block.at === null ? null : turns[block.at].content, state.chat.marks);
    });
    reply.hidden = turns.at(-1)?.role === "user" && !shown.at(-1)?.nodes.some(({ content }) => content);
    instruct.hidden = turns[0]?.role === "system";
    marks.checked = state.chat.marks;
    const read = list.hidden ? null : specialWords(state);
    special.hidden = !read;
    setText(reading, read?.words ?? "");
    setText(other, read?.offer ?? "");
    const found = state.chat.trouble;
    trouble.hidden = !found;
    again.hidden = !found;
    setText(trouble, found ? format.beside(found.message, found.field) : "");
    const end = ending(state);
    // The open turn stays in view while it grows.
    if (end !== scrolled && state.draft === null && !list.matches(":focus-within")) afterwards(toEnd);
    scrolled = state.draft === null ? end : scrolled;
    const limit = find(state, state.model)?.facts?.contextLimit;
    if (end !== null && state.draft === null) setText(count, `${format.tokens(tree.path(state.tree, end).length)}${limit ? ` of ${format.count(limit)}` : ""}`);
    undo.disabled = !state.past.length && !(state.draft !== null && state.current !== null);
    redo.disabled = !state.future.length;
    if (aimed !== null && shown.length) {
      const written = [...rows.values()].filter(({ words }) => !words.hidden);
      const target = aimed < 0 ? written.at(-1) : written[aimed];
      aimed = null;
      afterwards(() => target?.words.focus());
    }
    answer(state);
  };
}

/** @param {string} words @returns {string} as a sentence of its own */
function sentence(words) {
  return `${words.replace(/; send text$/, "")}.`;
}
