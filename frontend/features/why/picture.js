/**
 * What pushes the token, as an SVG image: the strongest in words, and a bar for each part. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("./model.js").Row} Row
 */
import * as format from "../../core/format.js";
import { WHY } from "../../core/words_later.js";
import { escape } from "../share/picture.js";
import { here, progressWords, pushWords, question, rows, sentences, sorted, targetName, unitWords } from "./model.js";

const [WIDTH, EDGE, NAME, ROW, BAR, HEAD] = [960, 32, 300, 26, 16, 76];
const TRACK = { from: 320, to: 840 };
const MOST_ROWS = 40;

/** @param {State} state @param {import("../share/picture.js").Palette} colours @returns {string | null} an SVG document; null if nothing has been measured */
export function svg(state, colours) {
  const [asked, known] = [question(state), here(state)];
  if (!asked || !known) return null;
  const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ words, more = "") => `<text x="${x}" y="${y}" ${more}>${escape(words)}</text>`;
  const quiet = `fill="${colours.quiet}"`;
  const told = sentences(state, known);
  const shown = sorted(rows(known, asked.method)).slice(0, MOST_ROWS);
  const from = HEAD + told.length * 24 + 40;
  const tall = from + shown.length * ROW + EDGE;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${tall}" viewBox="0 0 ${WIDTH} ${tall}" font-family="sans-serif" font-size="14" fill="${colours.ink}">`,
    `<rect width="${WIDTH}" height="${tall}" fill="${colours.surface}"/>`,
    text(EDGE, 40, `${format.shortName(asked.model)}: ${WHY.asked.toLowerCase()} ${targetName(state)}, ${WHY.methods[asked.method].toLowerCase()}`, 'font-size="18" font-weight="600"'),
    text(EDGE, 64, progressWords(state), quiet),
    ...told.map((words, at) => text(EDGE, HEAD + 16 + at * 24, words)),
    text(EDGE, from - 16, WHY.legend(targetName(state)), quiet),
    ...shown.flatMap((row, at) => line(row, from + at * ROW)),
    "</svg>",
  ].join("\n");

  /** @param {Row} row @param {number} y @returns {string[]} */
  function line({ unit, push, strength }, y) {
    const middle = (TRACK.from + TRACK.to) / 2;
    const length = (strength * (TRACK.to - TRACK.from)) / 2;
    const left = Number(push) < 0 ? middle - length : middle;
    const fill = unit.first ? colours.other : Number(push) < 0 ? colours.pinA : colours.bar;
    return [
      text(NAME, y + 13, unitWords(unit), `text-anchor="end" font-family="monospace"`),
      `<rect x="${TRACK.from}" y="${y}" width="${TRACK.to - TRACK.from}" height="${BAR}" fill="${colours.track}"/>`,
      `<rect class="push" x="${left.toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" fill="${fill}"/>`,
      text(WIDTH - EDGE, y + 13, pushWords(push), 'text-anchor="end"'),
    ];
  }
}
