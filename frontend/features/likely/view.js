/**
 * “How likely is …?”: a field, and for each variant its tokens with probability and rank.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("./model.js").Chance} Chance
 */
import * as format from "../../core/format.js";
import { marks } from "../../core/marks.js";
import { answerHere } from "../../core/questions.js";
import { MOST_TYPED } from "../../core/settings.js";
import { spell, spoken } from "../../core/tokens.js";
import { NUMBERS } from "../../core/words_later.js";
import { nextToken } from "../../net/api.js";
import { createAsker } from "../../net/asker.js";
import { setLength } from "../../ui/bar.js";
import { build } from "../../ui/build.js";
import { setText } from "../../ui/dom.js";
import { drawPieces } from "../../ui/token.js";
import { ask, chances, failProbe, nextProbe, tell } from "./model.js";

const TYPING_MS = 200;

/** @param {HTMLElement} root @param {import("../frame/room.js").Page} page @returns {(state: State) => void} */
export function mountLikely(root, { act, read, consider }) {
  const asker = createAsker({
    read,
    act,
    ask: nextToken,
    wanted: nextProbe,
    receive: tell,
    fail: failProbe,
    retry: (now) => failProbe(now, null),
    delay: (_, { text }) => (text === null ? 0 : TYPING_MS),
  });
  consider(asker.consider);
  const input = build("input", {
    class: "likely-text",
    id: "likely-text",
    type: "text",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    dir: "auto",
    maxlength: String(MOST_TYPED),
    placeholder: NUMBERS.token,
    "aria-label": NUMBERS.asked,
    "aria-describedby": "likely-hint likely-trouble",
  });
  const trouble = build("p", { class: "trouble", id: "likely-trouble", role: "status", hidden: true });
  const hint = build("p", { id: "likely-hint" }, NUMBERS.spaces);
  const list = build("ul", { class: "chances", "aria-label": NUMBERS.chances });
  root.append(build("h2", {}, NUMBERS.likely), build("div", { class: "likely-ask" }, input, hint, trouble), list);
  const spoken = build("p", { class: "visually-hidden", role: "status" });
  root.append(spoken);
  let told = "";
  /** @type {Map<string, ReturnType<typeof createLine>>} */
  let lines = new Map();

  input.addEventListener("input", () => act((now) => ask(now, input.value)));

  return (state) => {
    if (input.value !== state.likely && document.activeElement !== input) input.value = state.likely;
    trouble.hidden = !state.probeTrouble;
    setText(trouble, state.probeTrouble ? format.beside(state.probeTrouble.message, state.probeTrouble.field) : "");
    const vocabulary = answerHere(state)?.vocabSize ?? 0;
    /** @type {typeof lines} */
    const next = new Map();
    // Keep the last numbers while the text has no answer.
    const found = state.draft === null ? chances(state) : null;
    list.toggleAttribute("data-stale", found === null);
    if (!found) return;
    found.forEach((chance, index) => {
      const line = lines.get(chance.text) ?? createLine(chance.text);
      next.set(chance.text, line);
      line.update(chance, vocabulary);
      if (list.children[index] !== line.item) list.insertBefore(line.item, list.children[index] ?? null);
    });
    for (const [text, { item }] of lines) if (!next.has(text)) item.remove();
    lines = next;
    if (told === state.likely || found.some(({ logprob, note }) => logprob === null && !note)) return;
    told = state.likely; // said once for what was typed, not again after every click
    setText(spoken, found.map(({ text, logprob, note }) => `${marks(text).map((piece) => piece.spoken).join(" ")}: ${logprob === null ? note : format.percentOf(logprob)}`).join("; "));
  };
}

/** @param {string} text as it is looked up */
function createLine(text) {
  const item = document.createElement("li");
  const [tokens, track, fill, bar, percent, words] = ["chance-tokens", "track", "fill", "bar", "percent", "chance-words"].map((name) => {
    const made = document.createElement("span");
    made.className = name;
    return made;
  });
  fill.append(bar);
  track.append(fill);
  item.append(tokens, track, percent, words);
  tokens.append(drawPieces(marks(text)));
  /** @type {unknown} */
  let spelled = null;

  /** @param {Chance} chance @param {number} vocabulary */
  function update({ steps, logprob, note, cut, raw, fell }, vocabulary) {
    const read = steps?.map(({ token }) => `${token.id}`).join(" ") ?? null;
    if (read !== spelled) {
      spelled = read;
      if (steps) tokens.replaceChildren(...steps.map(({ token }, at) => tokenOf(token, at)));
    }
    item.toggleAttribute("data-waiting", logprob === null && !note);
    setLength(bar, Math.exp(logprob ?? -Infinity), "linear");
    setText(percent, logprob === null ? (note && !steps ? "" : "…") : format.percentOf(logprob));
    const filtered = fell !== null ? NUMBERS.fell(fell) : cut ? NUMBERS.removed : "";
    const before = raw === null ? "" : NUMBERS.unsampled(format.percentOf(raw));
    const last = [filtered, before].filter(Boolean).join(" ");
    setText(words, [note, steps ? `${wordsOf(steps, vocabulary)}${last && `. ${last}`}` : ""].filter(Boolean).join(" "));
  }

  return { item, update };
}

/** @param {import("../../core/tokens.js").Token} token @param {number} at */
function tokenOf(token, at) {
  const made = document.createElement("span");
  made.className = "token";
  made.classList.toggle("special", token.special);
  made.classList.toggle("odd", at % 2 === 1);
  made.append(drawPieces(spell(token).pieces));
  made.title = `id ${token.id}`;
  made.setAttribute("aria-label", spoken(token));
  made.role = "img";
  return made;
}

/** @param {readonly import("./model.js").Step[]} all @param {number} vocabulary @returns {string} up to the one that is removed */
function wordsOf(all, vocabulary) {
  const steps = all.slice(0, all.findIndex(({ fell }) => fell !== null) + 1 || all.length);
  if (steps.length === 1) {
    const [{ rank }] = steps;
    return rank === null ? NUMBERS.one : vocabulary ? NUMBERS.rankOf(rank, vocabulary) : NUMBERS.rank(rank);
  }
  const each = steps.map(({ probability, rank }) => (probability === null || rank === null ? "…" : `${format.percent(probability)} (${NUMBERS.rank(rank)})`));
  return `${format.tokens(steps.length)}: ${each.join(" × ")}`;
}
