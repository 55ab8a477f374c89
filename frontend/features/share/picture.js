/**
 * The chart as an SVG image, rendered from the state. Pure.
 *
 * @typedef {import("./snapshot.js").Snapshot} Snapshot
 * @typedef {import("../../core/display.js").Display} Display
 * @typedef {Record<"surface" | "ink" | "quiet" | "track" | "bar" | "pale" | "other" | "pinA" | "pinB" | "pinC", string>} Palette
 * @typedef {{light: Palette, dark: Palette}} Palettes
 */
import { stepsWords } from "../../core/chain.js";
import { leastOf, moved, othersWords, paleOf, paleWords } from "../../core/cuts.js";
import { figure, lengthOf, ticks } from "../../core/display.js";
import { ROLLS } from "../../core/draws.js";
import * as format from "../../core/format.js";
import { oneLine } from "../../core/marks.js";
import { CHART } from "../../core/words.js";
import { gapWords, stripsOf } from "../pins/model.js";
import { drawn } from "./snapshot.js";

const WIDTH = 960;
const EDGE = 32;
const ROW = 34;
const BAR = 22;
const STRIP = 6;
const LEGEND = 24; // pixels per line of the legend
const TRACK = { from: 270, to: 810 };
const HEAD = 112;
const [LONGEST_TEXT, LONGEST_TOKEN] = [82, 20];

/**
 * @param {Snapshot} now @param {Display} display @param {Palettes} palettes
 * @param {"light" | "dark" | "both"} scheme both: follows the viewer's
 * @returns {string} an SVG document
 */
export function svg(now, display, palettes, scheme = "both") {
  const { drawing, pins, rolled } = now;
  const pale = paleWords(drawing);
  const legends = [
    ...(pale ? [{ kind: "pale", words: pale }] : []),
    ...(rolled ? [{ kind: "rolled", words: now.rolls }] : []),
    ...pins.map((pin) => ({ kind: `pin${pin.name}`, words: `${pin.name}: ${pin.text || "(no text)"} · ${howWords(pin.model, pin.settings)}` })),
  ];
  const grid = { head: HEAD + legends.length * LEGEND, row: ROW + pins.length * STRIP };
  let left = ROLLS;
  const lines = drawing.rows.map((row, at) => {
    const { rank, token } = row.candidate;
    const count = rolled?.get(token.id) ?? 0;
    left -= count;
    const bars = { pale: row.fell || moved(row, drawing.cutting) ? paleOf(row, drawing.cutting) : 0, share: row.share, fell: row.fell !== null, strips: stripsOf(now, row), rolled: rolled && count };
    const words = { rank: format.count(rank), name: shorten(drawn(token), LONGEST_TOKEN), mono: true, note: row.fell ? CHART.removed(row.fell) : "", value: figure(row, display.column) };
    return line(grid.head + at * grid.row, { ...bars, ...words }, display);
  });
  const track = { top: HEAD + legends.length * LEGEND - 6, bottom: grid.head + lines.length * grid.row };
  if (drawing.otherCount) {
    const { otherShare: share, otherProbability, cutting } = drawing;
    const bars = { pale: cutting ? otherProbability : 0, share, fell: cutting && share === 0, strips: [], rolled: rolled && left };
    const words = { rank: "", name: othersWords(drawing), mono: false, note: "", value: figure({ share }, display.column) };
    lines.push(line(grid.head + lines.length * grid.row, { ...bars, ...words, other: true }, display));
  }
  const axis = display.scale === "log" ? ticks().map(({ at, words }) => text(x(at), grid.head - 8, words, "quiet small middle")) : [];
  const least = leastOf(drawing, now.settings);
  const kept = drawing.rows.findIndex((row) => row.fell);
  const cuts = [
    ...(least > 0 ? [`<path class="line" d="M${x(lengthOf(least, display.scale))} ${track.top}V${track.bottom}"/>`] : []),
    ...(kept > 0 ? [`<path class="line" d="M${EDGE} ${grid.head + kept * grid.row - 6}H${WIDTH - EDGE}"/>`] : []),
  ];
  const height = grid.head + lines.length * grid.row + (axis.length ? 0 : -8) + EDGE;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(`What might come next after: ${shorten(oneLine(now.text), LONGEST_TEXT)}`)}">`,
    `<style>${style(palettes, scheme)}</style>`,
    ...["pale", "other"].map((kind) => `<pattern id="${kind}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="${kind}" width="3" height="6"/></pattern>`),
    `<rect class="surface" width="${WIDTH}" height="${height}"/>`,
    text(EDGE, 44, shorten(oneLine(now.text), LONGEST_TEXT) || "(no text)", "ink mono"),
    text(EDGE, 72, subtitle(now), "quiet small"),
    ...legends.map((each, at) => legend(72 + (at + 1) * LEGEND, each)),
    ...axis,
    ...lines,
    ...cuts,
    "</svg>\n",
  ].join("\n");
}

/** @param {Snapshot} now @returns {string} */
function subtitle({ model, settings, drawing }) {
  return `${howWords(model, settings)} · ${format.openness(drawing.entropyBits, drawing.cutting, Boolean(drawing.sampling))}`;
}

/** @param {string} model @param {Snapshot["settings"]} settings */
function howWords(model, settings) {
  const { temperature, topP, minP } = settings;
  const steps = stepsWords(settings);
  const cuts = `${topP < 1 ? `, top-p ${topP}` : ""}${minP > 0 ? `, min-p ${minP}` : ""}${steps && `, ${steps}`}`;
  return `${shorten(oneLine(format.shortName(model)), 40)}, temperature ${temperature}${cuts}`;
}

/** @param {number} y @param {{kind: string, words: string}} legend @returns {string} its swatch and label */
function legend(y, { kind, words }) {
  return `<rect class="${kind}" x="${EDGE}" y="${y - 11}" width="22" height="12" rx="2"/>${text(EDGE + 30, y, words, "quiet small")}`;
}

/**
 * @param {number} top of the line
 * @param {{rank: string, name: string, mono: boolean, pale: number, share: number, fell: boolean, note: string, value: string,
 *   strips: import("../pins/model.js").Strip[], rolled: number | null, other?: boolean}} row
 * @param {Display} display
 */
function line(top, { rank, name, mono, pale, share, fell, note, value, strips, rolled, other = false }, { scale }) {
  const base = top + BAR / 2 + 6;
  const width = (/** @type {number} */ part) => lengthOf(part, scale) * (TRACK.to - TRACK.from);
  const bar = (/** @type {number} */ part, /** @type {string} */ kind, y = top, height = BAR) =>
    part > 0 ? `<rect class="${kind}" x="${TRACK.from}" y="${y}" width="${Math.max(2, width(part)).toFixed(1)}" height="${height}" rx="${Math.min(3, height / 3)}"/>` : "";
  const solid = other ? "rest" : "bar";
  const gap = strips.map(gapWords).join("");
  const ends = rolled !== null && rolled <= 75 ? "" : " end";
  return [
    text(EDGE + 22, base, rank, "quiet small end"),
    text(EDGE + 36, base, name, `${other || fell ? "quiet" : "ink"}${mono ? " mono" : ""}`),
    `<rect class="track" x="${TRACK.from}" y="${top}" width="${TRACK.to - TRACK.from}" height="${BAR + strips.length * STRIP}" rx="3"/>`,
    bar(pale, fell ? "cut" : "pale"),
    pale && !other ? bar(share, solid, top + 5, BAR - 10) : bar(share, solid),
    ...strips.map((strip, at) => bar(strip.known ? strip.share : 0, `pin${strip.name}`, top + BAR + at * STRIP, STRIP - 1)),
    rolled !== null && !fell ? bar(rolled / ROLLS, "rolled") + text(TRACK.from + width(rolled / ROLLS) + (ends ? -6 : 6), base, `${rolled}×`, `ink tag small${ends}`) : "",
    note ? text(TRACK.to - 8, base, note, "quiet small end") : "",
    text(WIDTH - EDGE, base - (gap ? 5 : 0), value, `${fell || other ? "quiet" : "ink"} end`),
    gap && text(WIDTH - EDGE, base + 9, gap, "quiet small end"),
  ].join("");
}

/** @param {number} at @param {number} y @param {string} words @param {string} kind */
function text(at, y, words, kind) {
  return words && `<text class="${kind}" x="${at}" y="${y}">${escape(`\u2068${words}\u2069`)}</text>`;
}

/** @param {number} share of the track */
function x(share) {
  return Math.round(TRACK.from + share * (TRACK.to - TRACK.from));
}

/** @param {Palettes} palettes @param {"light" | "dark" | "both"} scheme */
function style(palettes, scheme) {
  const colours = (/** @type {"light" | "dark"} */ name) => {
    const { surface, ink, quiet, track, bar, pale, other, pinA, pinB, pinC } = palettes[name];
    return `.pinA{fill:${pinA}}.pinB{fill:${pinB}}.pinC{fill:${pinC}}.surface{fill:${surface}}.ink{fill:${ink}}.quiet{fill:${quiet}}.track{fill:${track}}.bar{fill:${bar}}.pale{fill:${pale}}.other{fill:${other}}.line{stroke:${quiet}}.rolled{stroke:${ink}}.tag{stroke:${surface}}`;
  };
  const type = "text{font:16px system-ui,sans-serif;white-space:pre}.mono{font-family:ui-monospace,'DejaVu Sans Mono',monospace}.small{font-size:13px}.end{text-anchor:end}.middle{text-anchor:middle}.cut{fill:url(#pale)}.rest{fill:url(#other)}.line{stroke-width:2;stroke-dasharray:6 4}.rolled{fill:none;stroke-width:2}.tag{stroke-width:4px;paint-order:stroke}";
  return type + (scheme === "both" ? `${colours("light")}@media (prefers-color-scheme:dark){${colours("dark")}}` : colours(scheme));
}

/** @param {string} words @param {number} most characters @returns {string} shortened */
function shorten(words, most) {
  const letters = [...words];
  if (letters.length <= most) return words;
  return most === LONGEST_TEXT ? `…${letters.slice(1 - most).join("")}` : `${letters.slice(0, most - 1).join("")}…`;
}

/** @param {string} words @returns {string} escaped for XML, without characters that XML can't represent */
export function escape(words) {
  const codes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return words
    .toWellFormed()
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "")
    .replace(/[&<>"']/g, (found) => codes[/** @type {keyof typeof codes} */ (found)]);
}
