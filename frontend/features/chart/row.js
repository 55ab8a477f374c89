/**
 * One bar of the chart: rank, token, bar, percentage.
 *
 * @typedef {import("../../core/cuts.js").CutRow} Row
 */
import { moved, paleOf } from "../../core/cuts.js";
import { figure, lengthOf } from "../../core/display.js";
import { ROLLS } from "../../core/draws.js";
import * as format from "../../core/format.js";
import { hex, noToken, shown, spell, spoken } from "../../core/tokens.js";
import { CHART, NONE } from "../../core/words.js";
import { setLength } from "../../ui/bar.js";
import { setAttribute, setHidden, setText, setVariable } from "../../ui/dom.js";
import { drawPieces } from "../../ui/token.js";
import { drawStrips } from "../pins/view.js";

const LATE = 0.5; // of the track: from here on the dart's token stands before it

/**
 * @param {Row} first
 * @returns {{item: HTMLLIElement, button: HTMLButtonElement, become: (row: Row) => void, update: (row: Row, shown: Shown) => void,
 *   hint: () => void, animate: (keyframes: Keyframe[], options: KeyframeAnimationOptions) => void}}
 *   `become`: the row is another token's from now on, which costs less layout than a new one; `hint` sets the tooltip
 * @typedef {{index: number, selected: boolean, taken: boolean, slow: boolean, dragging: boolean, before: Uint8Array,
 *   cutting: boolean, rolled: number | null, dartAt: number | null, display: import("../../core/display.js").Display,
 *   pinned: readonly import("../pins/view.js").Strip[]}} Shown
 *   `slow`: the answer is late; `dragging`: a control is being dragged, so nothing is announced; `rolled`: how many of 100
 *   rolls landed here; `dartAt`: where in the row's share the dart landed
 */
export function createRow(first) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "row";
  const [rank, token, track, percent] = ["rank", "token", "track", "percent"].map(span);
  const fill = span("fill");
  const fell = span("fell");
  const [count, countWords, dart, dartToken] = ["count", "count-words", "dart", "dart-token"].map(span);
  const [value, delta] = ["value", "delta"].map(span);
  dart.append(dartToken);
  percent.append(value, delta);
  track.append(fill, fell, count, countWords, dart);
  button.append(rank, token, track, percent);
  item.append(button);
  /** @type {HTMLElement} */
  let raw;
  /** @type {HTMLElement} */
  let bar;
  let words = "";
  let none = false;
  /** @type {string | null} */
  let spelledAfter = null;
  let completed = "";
  let labelled = false;
  let hinted = () => "";
  /** @type {Animation | undefined} */
  let moving;
  become(first);

  /** @param {Row} row */
  function become({ candidate }) {
    words = spoken(candidate.token);
    none = noToken(candidate.token);
    token.classList.toggle("special", candidate.token.special);
    token.classList.toggle("none", none);
    item.toggleAttribute("data-none", none);
    spelledAfter = null;
    labelled = false;
    moving?.cancel();
    // A bar glides from one length of its token to the next, not from another token's.
    [raw, bar] = ["bar-raw", "bar"].map(span);
    fill.replaceChildren(raw, bar);
  }

  /** @param {Row} row @param {Shown} shown */
  function update(row, { index, selected, taken, slow, dragging, before, cutting, rolled, dartAt, display, pinned }) {
    const pale = paleOf(row, cutting);
    const changed = moved(row, cutting);
    setAttribute(button, "tabindex", selected ? "0" : "-1");
    setAttribute(button, "data-index", String(index));
    setAttribute(button, "aria-disabled", String(slow || none));
    item.toggleAttribute("data-taken", taken);
    item.toggleAttribute("data-far", row.candidate.rank > index + 1);
    item.toggleAttribute("data-changed", changed);
    setText(rank, format.count(row.candidate.rank));
    setText(value, figure(row, display.column));
    setLength(bar, row.share, display.scale);
    setLength(raw, changed ? pale : 0, display.scale);
    const against = drawStrips(fill, delta, pinned, display.scale);
    item.toggleAttribute("data-fell", row.fell !== null);
    setText(fell, row.fell ? CHART.removed(row.fell) : "");
    if (hex(before) !== spelledAfter) {
      spelledAfter = hex(before);
      const { pieces, completes } = spell(row.candidate.token, before);
      token.replaceChildren(drawPieces(pieces), ...(completes ? [completion(completes)] : []));
      completed = completes ? `, completes ${completes}` : "";
    }
    drawRolls({ count, countWords, dart, item }, rolled, dartAt, row.share, display.scale, shown(row.candidate.token));
    hinted = () => {
      const other = changed ? `${row.candidate.sampled ? CHART.unsampled : cutting ? CHART.unfiltered : "at temperature 1"}, ${format.percent(pale)}\n` : "";
      const why = none ? `\n${NONE.hint}` : "";
      return `${format.percent(row.share)}\n${other}${numbers(row)}, id ${row.candidate.token.id}${why}`;
    };
    if (dragging && labelled) return;
    labelled = true;
    const state = `${rolled === null ? "" : `, rolled ${rolled} times`}${row.fell ? `, ${CHART.removed(row.fell)}` : ""}${taken ? ", taken" : ""}${none ? ", can’t be appended" : ""}`;
    const asked = display.column === "percent" ? "" : `, ${numbers(row)}`;
    const label = `${words}${completed}, ${format.percent(row.share)}${asked}, rank ${row.candidate.rank}${against}${state}`;
    setAttribute(button, "aria-label", label);
    if (button.title) hint();
  }

  function hint() {
    setAttribute(button, "title", hinted());
  }

  /** @param {Keyframe[]} keyframes @param {KeyframeAnimationOptions} options */
  function animate(keyframes, options) {
    moving = item.animate(keyframes, options);
  }

  return { item, button, become, update, hint, animate };
}

/**
 * @param {{count: HTMLElement, countWords: HTMLElement, dart: HTMLElement, item: HTMLElement}} parts @param {number | null} rolled of 100
 * @param {number | null} dartAt where in the row's share the dart landed @param {number} share the row's
 * @param {import("../../core/display.js").Display["scale"]} scale @param {string} name of the token the dart landed on
 */
export function drawRolls({ count, countWords, dart, item }, rolled, dartAt, share, scale, name) {
  item.toggleAttribute("data-rolled", rolled !== null);
  if (dartAt === null) item.removeAttribute("data-dart");
  else setAttribute(item, "data-dart", lengthOf(dartAt, scale) > LATE ? "late" : "");
  setText(/** @type {HTMLElement} */ (dart.firstElementChild), dartAt === null ? "" : name);
  setHidden(count, !rolled);
  setText(countWords, rolled === null ? "" : `${rolled}×`);
  setLength(count, (rolled ?? 0) / ROLLS, scale);
  setVariable(dart, "--share", String(dartAt !== null && share > 0 ? (dartAt / share) * lengthOf(share, scale) : 0));
}

/** @param {Row} row @returns {string} the row's values, as in the columns */
function numbers(row) {
  return `log-probability ${figure(row, "logprob")}, logit ${figure(row, "logit")}`;
}

/** @param {string} text @returns {HTMLElement} */
function completion(text) {
  const made = document.createElement("bdi");
  made.className = "completes";
  made.textContent = text;
  return made;
}

/** @param {string} name */
function span(name) {
  const made = document.createElement("span");
  made.className = name;
  return made;
}
