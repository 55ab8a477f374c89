/**
 * The bars. Rows are keyed by token, so they animate to their new positions, and those of tokens that are gone become those of
 * new ones; the last bars stay while an answer is awaited.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/cuts.js").CutRow} Row
 */
import { leastOf, othersWords, paleWords } from "../../core/cuts.js";
import { figure, lengthOf } from "../../core/display.js";
import { ROLLS } from "../../core/draws.js";
import * as format from "../../core/format.js";
import { layerHere, shownScene } from "../../core/inside.js";
import { following } from "../../core/lookback.js";
import { hidden, wanted } from "../../core/questions.js";
import { hex, pending, shown as name } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { COMMON } from "../../core/words.js";
import { setLength } from "../../ui/bar.js";
import { setAttribute, setHidden, setText, setVariable } from "../../ui/dom.js";
import { dart, tally } from "../dice/model.js";
import { stripsOf } from "../pins/model.js";
import { createRow, drawRolls } from "./row.js";

const GLIDE_MS = 180;
const SLOW_MS = 150; // before stale bars are dimmed
const QUICK_PACE = 4; // tokens per second above which rows don't animate
const PRECISION = 1e-4; // of probabilities computed on the page
const EASE = "cubic-bezier(.2, .7, .2, 1)";
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountChart(root, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const [bars, entropy, others, trouble] = [".bars", ".chart-entropy", ".others", ".chart-trouble"].map(part);
  const legend = part(".chart-legend");
  // Where there is no room for both, the choices make way.
  const [entropyBits, entropyChoices] = [0, 1].map(() => entropy.appendChild(document.createElement("span")));
  const [othersName, othersBar, othersPercent] = [".others-name", ".others .bar", ".others .percent"].map(part);
  const othersRaw = part(".others .bar-raw");
  const othersRolls = { count: part(".others .count"), countWords: part(".others .count-words"), dart: part(".others .dart"), item: others };
  /** @type {Map<string, ReturnType<typeof createRow>>} */
  let rows = new Map();
  /** @type {Row[]} */
  let shown = [];
  let stale = true;
  let slow = false;
  /** @type {State | null} */
  let latest = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let slowing;
  let cutting = false;
  let selected = 0;
  /** @type {State["current"]} */
  let selectedAt = null;

  bars.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("button");
    if (button) pick(Number(button.dataset.index));
  });
  bars.addEventListener("focusin", (event) => {
    const button = /** @type {Element} */ (event.target).closest("button");
    if (button) select(Number(button.dataset.index));
  });
  bars.addEventListener("pointerover", (event) => {
    const item = /** @type {Element} */ (event.target).closest("li");
    for (const row of rows.values()) if (row.item === item) row.hint();
  });
  part(".chart-trouble button").addEventListener("click", verbs.retry);
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = {
      ArrowDown: () => focus(selected + 1),
      ArrowUp: () => focus(selected - 1),
      Home: () => focus(0),
      End: () => focus(shown.length - 1),
      ArrowRight: () => pick(selected),
      ArrowLeft: verbs.takeBack,
      Backspace: verbs.takeBack,
    }[event.key];
    if (!move || !bars.contains(document.activeElement)) return;
    event.preventDefault();
    move();
  });

  /** @param {number} index */
  function pick(index) {
    const row = shown[index];
    if (row && !stale) verbs.append(row);
  }

  /** @param {number} index */
  function select(index) {
    selected = index;
    if (shown[index]) verbs.focusBar(shown[index].candidate.token.id);
    for (const { button } of rows.values()) setAttribute(button, "tabindex", Number(button.dataset.index) === index ? "0" : "-1");
  }

  /** @param {number} index */
  function focus(index) {
    const target = bars.children[Math.max(0, Math.min(shown.length - 1, index))];
    target?.querySelector("button")?.focus();
  }

  /** @param {State} state */
  function update(state) {
    latest = state;
    const now = shownScene(state);
    const busy = wanted(state) !== null;
    root.toggleAttribute("data-dragging", state.dragging);
    root.toggleAttribute("data-empty", !now);
    setAttribute(root, "aria-busy", String(busy));
    showTrouble(state);
    if (!now) return hidden(state) ? clear() : undefined;
    stale = now.stale;
    root.toggleAttribute("data-stale", stale);
    if (!stale) hurry();
    else slowing ??= setTimeout(dim, SLOW_MS);
    const { drawing } = now;
    const focused = bars.contains(document.activeElement);
    if (!stale && state.current !== selectedAt) {
      selectedAt = state.current;
      selected = 0;
    }
    selected = Math.min(selected, Math.max(0, drawing.rows.length - 1));
    shown = drawing.rows;
    cutting = drawing.cutting;
    const places = new Map([...rows.keys()].map((key, at) => [key, at]));
    drawRows(state);
    const hurried = state.play?.kind === "write" && state.dice.pace > QUICK_PACE;
    if (!calm.matches && !state.dragging && !hurried) glideFrom(places);
    if (focused && (document.activeElement !== bars.children[selected]?.firstChild)) focus(selected);
    const [bits, ...choices] = format.openness(drawing.entropyBits, cutting, Boolean(drawing.sampling)).split(/(?=:)/);
    setText(entropyBits, bits);
    setText(entropyChoices, choices.join(""));
    const pale = paleWords(drawing);
    setHidden(legend, !pale);
    if (pale) setText(legend, pale);
    setHidden(others, drawing.otherCount === 0);
    setText(othersName, othersWords(drawing));
    const unsaid = !drawing.exact && drawing.otherShare < PRECISION && drawing.kept.count > shown.length;
    const { column, scale } = state.display;
    setText(othersPercent, unsaid && column === "percent" ? `<${format.percent(PRECISION)}` : figure({ share: drawing.otherShare }, column));
    setLength(othersBar, drawing.otherShare, scale);
    setLength(othersRaw, cutting ? drawing.otherProbability : 0, scale);
    const least = leastOf(drawing, state.settings);
    bars.toggleAttribute("data-line", least > 0);
    setVariable(bars, "--line-at", String(lengthOf(least, scale)));
    others.toggleAttribute("data-fell", cutting && drawing.otherShare === 0);
  }

  /** The answer has arrived. */
  function hurry() {
    clearTimeout(slowing);
    slowing = undefined;
    slow = false;
    root.removeAttribute("data-slow");
  }

  /** The answer is late: dims the bars, which can't be clicked. */
  function dim() {
    slow = true;
    root.setAttribute("data-slow", "");
    if (latest) drawRows(latest);
  }

  /** Removes the bars. */
  function clear() {
    for (const { item } of rows.values()) item.remove();
    rows = new Map();
    shown = [];
    for (const each of [entropyBits, entropyChoices, othersName, othersPercent]) setText(each, "");
    for (const each of [others, legend]) setHidden(each, true);
  }

  /** @param {State} state */
  function drawRows(state) {
    const path = state.current === null ? [] : tree.path(state.tree, state.current);
    const before = stale ? new Uint8Array() : pending(tree.tokens(path.slice(-4)));
    const taken = stale ? undefined : following(state)?.token?.id;
    const layer = layerHere(state);
    const rolled = layer === null ? tally(state) : null;
    const fell = layer === null ? dart(state) : null;
    const { display } = state;
    let [left, rolls] = [0, ROLLS];
    const keys = shown.map(({ candidate: { token } }) => `${token.id}:${hex(token.bytes)}`);
    const kept = new Set(keys);
    // One that has the focus goes, so that the focus moves to the new first bar and is announced there.
    const free = new Map([...rows].filter(([key, { button }]) => !kept.has(key) && button !== document.activeElement).map(([, row]) => [row.item, row]));
    /** @param {Row} first @param {number} index @returns {ReturnType<typeof createRow>} preferably the one that stands there */
    const rowFor = (first, index) => {
      const row = free.get(/** @type {HTMLLIElement} */ (bars.children[index])) ?? free.values().next().value;
      if (!row) return createRow(first);
      free.delete(row.item);
      row.become(first);
      return row;
    };
    /** @type {typeof rows} */
    const next = new Map();
    shown.forEach((each, index) => {
      const { token } = each.candidate;
      const key = keys[index];
      const row = rows.get(key) ?? rowFor(each, index);
      next.set(key, row);
      const count = rolled ? (rolled.get(token.id) ?? 0) : null;
      const dartAt = fell?.candidate.token.id === token.id ? Math.max(0, Math.min(each.share, fell.at - left)) : null;
      const pinned = stripsOf(state, each);
      row.update(each, { index, selected: index === selected, taken: token.id === taken, slow, dragging: state.dragging, before, cutting, rolled: count, dartAt, display, pinned });
      left += each.share;
      rolls -= count ?? 0;
      if (bars.children[index] !== row.item) bars.insertBefore(row.item, bars.children[index] ?? null);
    });
    const beyond = fell && !shown.some((each) => each.candidate.token.id === fell.candidate.token.id);
    drawRolls(othersRolls, rolled && rolls, beyond ? Math.max(0, fell.at - left) : null, Math.max(0, 1 - left), display.scale, fell ? name(fell.candidate.token) : "");
    const drawn = new Set([...next.values()]);
    for (const row of rows.values()) if (!drawn.has(row)) row.item.remove();
    rows = next;
  }

  /** @param {Map<string, number>} places previous index by key; all rows have the same height, so nothing is measured */
  function glideFrom(places) {
    [...rows].forEach(([key, row], at) => {
      const from = places.get(key);
      const rowsAway = from === undefined ? 0 : from - at;
      if (rowsAway) row.animate([{ translate: `0 ${rowsAway * 100}%` }, { translate: "0 0" }], { duration: GLIDE_MS, easing: EASE });
      else if (from === undefined && places.size) row.animate([{ opacity: 0 }, { opacity: 1 }], { duration: GLIDE_MS });
    });
  }

  /** @param {State} state */
  function showTrouble({ trouble: found }) {
    const here = found && !["text", "token_ids", "parts", "top_k", "temperature", "top_p", "min_p"].includes(found.field ?? "") ? found : null;
    setHidden(trouble, !here);
    if (!here) return;
    setText(part(".chart-trouble p"), here.again ? COMMON.byItself(here.message) : here.message);
  }

  return update;
}
