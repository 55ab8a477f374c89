/**
 * The chart as a picture of its own: SVG made from the state, never from the page. Pure.
 *
 * @typedef {import("./snapshot.js").Snapshot} Snapshot
 * @typedef {import("./display.js").Display} Display
 */
import { figure, lengthOf, ticks } from "./display.js";
import * as format from "./format.js";
import { oneLine } from "./marks.js";
import { shareIn } from "./pins.js";
import { drawn } from "./snapshot.js";

const WIDTH = 960;
const EDGE = 32;
const ROW = 34;
const BAR = 22;
const STRIP = 6;
const LEGEND = 24; // each pin's line in the head
const TRACK = { from: 270, to: 810 };
const HEAD = 112;
const [LONGEST_TEXT, LONGEST_TOKEN] = [82, 20];
const PALETTES = {
  light: { surface: "#fbfcff", ink: "#171c26", quiet: "#545b68", track: "#edeff3", bar: "#2c69cf", pale: "#b3cbf3", other: "#8a909b", pinA: "#9b4312", pinB: "#0a664e", pinC: "#8e2c7a" },
  dark: { surface: "#11151d", ink: "#eef0f4", quiet: "#a9aeb9", track: "#1f242e", bar: "#77a4f4", pale: "#344e80", other: "#6f7580", pinA: "#f2a35c", pinB: "#6ce3bd", pinC: "#f095db" },
};

/**
 * @param {Snapshot} now @param {Display} display @param {"light" | "dark" | "both"} scheme both: as the reader's own is
 * @returns {string} an SVG document
 */
export function svg(now, display, scheme = "both") {
  const { drawing, pins } = now;
  const grid = { head: HEAD + pins.length * LEGEND, row: ROW + pins.length * STRIP };
  const lines = drawing.rows.map((row, at) => line(grid.head + at * grid.row, {
    rank: String(row.candidate.rank),
    name: shorten(drawn(row.candidate.token), LONGEST_TOKEN),
    mono: true,
    said: drawing.cutting ? row.probability : Number.isNaN(row.raw) ? row.share : row.raw,
    share: row.share,
    note: row.fell ? `cut by ${row.fell}` : "",
    value: figure(row, display.column),
    strips: pins.map((pin) => ({ name: pin.name, ...shareIn(pin, row.candidate.token, now.model) })).map(({ name, share, known }) => ({ name, share: known ? share : 0 })),
  }, display));
  if (drawing.otherCount) {
    const others = { rank: "", name: `${format.count(drawing.otherCount)} others`, mono: false, note: "", strips: [], value: figure({ share: drawing.otherShare }, display.column) };
    lines.push(line(grid.head + lines.length * grid.row, { ...others, said: drawing.cutting ? drawing.otherProbability : drawing.otherShare, share: drawing.otherShare, other: true }, display));
  }
  const axis = display.scale === "log" ? ticks().map(({ at, words }) => text(x(at), grid.head - 8, words, "quiet small middle")) : [];
  const height = grid.head + lines.length * grid.row + (axis.length ? 0 : -8) + EDGE;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(`What may come next after: ${shorten(oneLine(now.text), LONGEST_TEXT)}`)}">`,
    `<style>${style(scheme)}</style>`,
    `<rect class="surface" width="${WIDTH}" height="${height}"/>`,
    text(EDGE, 44, shorten(oneLine(now.text), LONGEST_TEXT) || "(no text)", "ink mono"),
    text(EDGE, 72, subtitle(now), "quiet small"),
    ...pins.map((pin, at) => legend(72 + (at + 1) * LEGEND, pin)),
    ...axis,
    ...lines,
    "</svg>\n",
  ].join("\n");
}

/** @param {Snapshot} now @returns {string} */
function subtitle({ model, settings, drawing }) {
  return `${howWords(model, settings)} · ${format.openness(drawing.entropyBits, drawing.cutting)}`;
}

/** @param {string} model @param {Snapshot["settings"]} settings */
function howWords(model, { temperature, topP, minP }) {
  const cuts = `${topP < 1 ? `, top-p ${topP}` : ""}${minP > 0 ? `, min-p ${minP}` : ""}`;
  return `${shorten(oneLine(format.shortName(model)), 40)}, temperature ${temperature}${cuts}`;
}

/** @param {number} y @param {import("./pins.js").Pin} pin @returns {string} its colour, letter, text and settings */
function legend(y, { name, text: words, model, settings }) {
  const swatch = `<rect class="pin${name}" x="${EDGE}" y="${y - 11}" width="22" height="12" rx="2"/>`;
  return [swatch, text(EDGE + 30, y, `${name}: ${words || "(no text)"} · ${howWords(model, settings)}`, "quiet small")].join("");
}

/**
 * @param {number} top of the line @param {{rank: string, name: string, mono: boolean, said: number, share: number, note: string, value: string, strips: {name: string, share: number}[], other?: boolean}} row
 * @param {Display} display
 */
function line(top, { rank, name, mono, said, share, note, value, strips, other = false }, { scale }) {
  const base = top + BAR / 2 + 6;
  const both = Math.abs(said - share) > 5e-4;
  const bar = (/** @type {number} */ part, /** @type {string} */ kind, y = top, height = BAR) => {
    const length = lengthOf(part, scale) * (TRACK.to - TRACK.from);
    return part > 0 ? `<rect class="${kind}" x="${TRACK.from}" y="${y}" width="${Math.max(2, length).toFixed(1)}" height="${height}" rx="${Math.min(3, height / 3)}"/>` : "";
  };
  return [
    text(EDGE + 22, base, rank, "quiet small end"),
    text(EDGE + 36, base, name, `${other ? "quiet" : "ink"}${mono ? " mono" : ""}`),
    `<rect class="track" x="${TRACK.from}" y="${top}" width="${TRACK.to - TRACK.from}" height="${BAR + strips.length * STRIP}" rx="3"/>`,
    both ? bar(said, "pale") : "",
    both ? bar(share, other ? "other" : "bar", top + 5, BAR - 10) : bar(share, other ? "other" : "bar"),
    ...strips.map((strip, at) => bar(strip.share, `pin${strip.name}`, top + BAR + at * STRIP, STRIP - 1)),
    note ? text(TRACK.to - 8, base, note, "quiet small end") : "",
    text(WIDTH - EDGE, base, value, `${note || other ? "quiet" : "ink"} end`),
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

/** @param {"light" | "dark" | "both"} scheme */
function style(scheme) {
  const colours = (/** @type {"light" | "dark"} */ name) => {
    const { surface, ink, quiet, track, bar, pale, other, pinA, pinB, pinC } = PALETTES[name];
    return `.pinA{fill:${pinA}}.pinB{fill:${pinB}}.pinC{fill:${pinC}}.surface{fill:${surface}}.ink{fill:${ink}}.quiet{fill:${quiet}}.track{fill:${track}}.bar{fill:${bar}}.pale{fill:${pale}}.other{fill:${other}}`;
  };
  const type = "text{font:16px system-ui,sans-serif;white-space:pre}.mono{font-family:ui-monospace,'DejaVu Sans Mono',monospace}.small{font-size:13px}.end{text-anchor:end}.middle{text-anchor:middle}";
  return type + (scheme === "both" ? `${colours("light")}@media (prefers-color-scheme:dark){${colours("dark")}}` : colours(scheme));
}

/** @param {string} words @param {number} most characters @returns {string} a text's end says more than its beginning; a token's beginning does */
function shorten(words, most) {
  const letters = [...words];
  if (letters.length <= most) return words;
  return most === LONGEST_TEXT ? `…${letters.slice(1 - most).join("")}` : `${letters.slice(0, most - 1).join("")}…`;
}

/** @param {string} words @returns {string} as XML holds it; characters that XML knows no way to hold are left out */
function escape(words) {
  const codes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return words
    .toWellFormed()
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "")
    .replace(/[&<>"']/g, (found) => codes[/** @type {keyof typeof codes} */ (found)]);
}
