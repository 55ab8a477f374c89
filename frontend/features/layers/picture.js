/**
 * Heat map and lines as an SVG image. Pure.
 *
 * @typedef {import("../../core/slices_later.js").LayersAnswer} LayersAnswer
 * @typedef {import("./figures.js").Shown} Shown
 */
import * as format from "../../core/format.js";
import { drawnName } from "../../core/tokens.js";
import { LAYERS } from "../../core/words_later.js";
import { escape } from "../share/picture.js";
import { commitmentWords, followed, heights } from "./model.js";

const [WIDTH, EDGE, FROM, ROW, LINES, HEAD] = [960, 32, 200, 22, 160, 96];

/** @param {LayersAnswer} answer @param {Shown} how @param {import("../share/picture.js").Palette} colours @returns {string} an SVG document */
export function svg(answer, { scale, vocabulary, focus, against }, colours) {
  const rows = followed(answer);
  const count = answer.layers.length;
  const wide = (WIDTH - FROM - EDGE) / count;
  const x = (/** @type {number} */ layer) => (FROM + layer * wide).toFixed(1);
  const under = HEAD + rows.length * ROW + 24;
  const tall = under + LINES + 48;
  const text = (/** @type {string | number} */ at, /** @type {number} */ y, /** @type {string} */ words, more = "") => `<text x="${at}" y="${y}" ${more}>${escape(words)}</text>`;
  const cells = rows.flatMap(({ token }, row) => [
    text(FROM - 8, HEAD + row * ROW + 15, drawnName(token), `text-anchor="end" font-family="monospace" ${token.id === focus ? 'font-weight="600"' : ""}`),
    ...heights(answer, token.id, scale, vocabulary).map((value, layer) => `<rect x="${x(layer)}" y="${HEAD + row * ROW}" width="${(wide - 1).toFixed(1)}" height="${ROW - 2}" fill="${colours.bar}" fill-opacity="${value.toFixed(3)}"/>`),
  ]);
  const lines = rows.map(({ token }) => {
    const points = heights(answer, token.id, scale, vocabulary).map((value, layer) => `${x(layer + 0.5)},${(under + LINES * (1 - value)).toFixed(1)}`);
    const look = token.id === focus ? `stroke="${colours.bar}" stroke-width="3"` : token.id === against ? `stroke="${colours.pinA}" stroke-width="2" stroke-dasharray="6 4"` : `stroke="${colours.other}" stroke-width="1"`;
    return `<polyline points="${points.join(" ")}" fill="none" ${look}/>`;
  });
  const settled = answer.commitment.top1 ? `<line x1="${x(answer.commitment.top1)}" x2="${x(answer.commitment.top1)}" y1="${HEAD - 6}" y2="${under + LINES}" stroke="${colours.ink}" stroke-dasharray="3 3"/>` : "";
  const axis = [0, count - 1].map((layer) => text(x(layer + 0.5), under + LINES + 20, String(layer), 'text-anchor="middle" class="quiet"'));
  const ends = LAYERS.ends[scale];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${tall}" viewBox="0 0 ${WIDTH} ${tall}" font-family="sans-serif" font-size="14" fill="${colours.ink}">`,
    `<rect width="${WIDTH}" height="${tall}" fill="${colours.surface}"/>`,
    text(EDGE, 40, `${format.shortName(answer.model)}: ${LAYERS.mapTitle.toLowerCase()}, ${LAYERS.scales[scale].toLowerCase()}`, 'font-size="18" font-weight="600"'),
    text(EDGE, 66, commitmentWords(answer)),
    ...cells,
    ...lines,
    settled,
    text(FROM - 8, under + 10, ends[0], `text-anchor="end" fill="${colours.quiet}"`),
    text(FROM - 8, under + LINES, ends[ends.length - 1], `text-anchor="end" fill="${colours.quiet}"`),
    ...axis,
    "</svg>",
  ].join("\n");
}
