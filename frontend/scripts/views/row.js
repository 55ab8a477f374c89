/**
 * One bar of the chart: rank, token, bar, percentage.
 *
 * @typedef {import("../distribution.js").Row} Row
 */
import * as format from "../format.js";
import { hex, spell, spoken } from "../tokens.js";
import { drawPieces } from "./pieces.js";

/**
 * @param {Row} first
 * @returns {{item: HTMLLIElement, button: HTMLButtonElement, update: (row: Row, shown: Shown) => void}}
 * @typedef {{index: number, selected: boolean, taken: boolean, stale: boolean, before: Uint8Array}} Shown
 */
export function createRow(first) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "row";
  const [rank, token, track, percent] = ["rank", "token", "track", "percent"].map(span);
  const [raw, bar] = ["bar-raw", "bar"].map(span);
  track.append(raw, bar);
  button.append(rank, token, track, percent);
  item.append(button);
  const words = spoken(first.candidate.token);
  token.classList.toggle("special", first.candidate.token.special);
  /** @type {string | null} */
  let spelledAfter = null;
  let completed = "";

  /** @param {Row} row @param {Shown} shown */
  function update(row, { index, selected, taken, stale, before }) {
    const likely = format.percent(row.probability);
    const changed = moved(row);
    button.tabIndex = selected ? 0 : -1;
    button.dataset.index = String(index);
    button.setAttribute("aria-disabled", String(stale));
    item.toggleAttribute("data-taken", taken);
    item.toggleAttribute("data-changed", changed);
    setText(rank, String(row.candidate.rank));
    setText(percent, likely);
    bar.style.setProperty("--share", String(row.probability));
    raw.style.setProperty("--share", String(changed ? row.raw : 0));
    if (hex(before) !== spelledAfter) {
      spelledAfter = hex(before);
      const { pieces, completes } = spell(row.candidate.token, before);
      token.replaceChildren(drawPieces(pieces), ...(completes ? [completion(completes)] : []));
      completed = completes ? `, completes ${completes}` : "";
    }
    const label = `${words}${completed}, ${likely}, rank ${row.candidate.rank}${taken ? ", taken" : ""}`;
    if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
    const title = changed ? `${likely}; at temperature 1, ${format.percent(row.raw)}` : "";
    if (button.title !== title) button.title = title;
  }

  return { item, button, update };
}

/** @param {Row} row @returns {boolean} whether temperature moved it so far that it shows */
export function moved(row) {
  return Math.abs(row.raw - row.probability) > 5e-4;
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

/** @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
