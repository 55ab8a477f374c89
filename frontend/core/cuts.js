/**
 * Top-p and min-p filtering. Pure. If the answer was requested with the same settings, the server's count is used;
 * otherwise it is computed from the candidates, which is exact as long as the cutoff falls among them.
 *
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./distribution.js").Drawing} Drawing
 * @typedef {import("./distribution.js").Row} Row
 * @typedef {import("./state.js").Settings} Settings
 *
 * @typedef {string} Reason  the filter that removed the token
 *
 * @typedef {object} Kept
 * @property {number} count  tokens; a lower bound unless `known`
 * @property {number} probability  their total, after temperature and before renormalizing
 * @property {boolean} known
 *
 * @typedef {object} CutPart
 * @property {number} share  renormalized probability; 0 if removed
 * @property {Reason | null} fell
 * @typedef {Row & CutPart} CutRow
 *
 * @typedef {Omit<Drawing, "rows"> & CutDrawingPart} CutDrawing
 * @typedef {object} CutDrawingPart
 * @property {CutRow[]} rows
 * @property {boolean} cutting  a filter is on
 * @property {Kept} kept
 * @property {number} otherShare
 * @property {import("./slices_later.js").Sampling} [sampling]  what sampler steps did, if there are any
 */
import { asked } from "./chain.js";
import { redraw } from "./distribution.js";
import * as format from "./format.js";
import { CHART } from "./words.js";

const ROUNDING = 1e-12;
const VISIBLE = 5e-4;

/** @param {Settings} settings @returns {boolean} */
export function cuts(settings) {
  return settings.topP < 1 || settings.minP > 0 || asked(settings) !== null;
}

/**
 * @param {Answer} answer @param {Drawing} drawing of it @param {number} temperature of the drawing
 * @param {Settings} settings
 * @returns {CutDrawing}
 */
export function cut(answer, drawing, temperature, settings) {
  if (answer.sampling && asked(settings)) return cutBySteps(answer.sampling, drawing);
  if (!cuts(settings)) {
    const rows = drawing.rows.map((row) => ({ ...row, share: row.probability, fell: null }));
    const kept = { count: answer.vocabSize, probability: 1, known: true };
    return { ...drawing, rows, cutting: false, kept, otherShare: drawing.otherProbability };
  }
  const all = redraw(answer, temperature, answer.candidates.length)?.rows ?? drawing.rows;
  const lines = linesOf(all, temperature, settings);
  const kept = keptOf(answer, all, lines, temperature, settings);
  const rows = drawing.rows.map((row) => {
    const { rank } = row.candidate;
    const stays = rank <= kept.count || (!kept.known && likeness(row, all[0], temperature) >= settings.minP);
    const share = stays ? Math.min(1, row.probability / kept.probability) : 0;
    return { ...row, share, fell: stays ? null : reason(lines, rank - 1) };
  });
  const left = rows.filter(({ fell }) => !fell);
  const shown = left.reduce((total, { probability }) => total + probability, 0);
  const beyond = kept.count > left.length ? Math.max(0, kept.probability - shown) / kept.probability : 0;
  return { ...drawing, rows, cutting: true, kept, otherShare: beyond };
}

/** @param {import("./slices_later.js").Sampling} sampling @param {Drawing} drawing @returns {CutDrawing} its tokens that may come next are in their order after all steps, on the places that they had */
function cutBySteps(sampling, drawing) {
  const all = drawing.rows.map((row) => ({ ...row, probability: row.candidate.probability, raw: row.candidate.probability, share: 0, fell: null, ...row.candidate.sampled }));
  const left = all.filter(({ fell }) => !fell).sort((a, b) => b.share - a.share);
  const otherShare = sampling.kept.count > left.length ? Math.max(0, 1 - left.reduce((total, { share }) => total + share, 0)) : 0;
  const rows = all.map((row) => (row.fell ? row : /** @type {CutRow} */ (left.shift())));
  return { ...drawing, rows, cutting: true, kept: { ...sampling.kept, known: true }, otherShare, sampling };
}

/** @param {Pick<CutRow, "share" | "probability" | "raw">} row @param {boolean} cutting @returns {number} the length of the pale bar: the unfiltered probability */
export function paleOf(row, cutting) {
  const said = cutting ? row.probability : row.raw;
  return Number.isNaN(said) ? row.share : said;
}

/** @param {CutRow} row @param {boolean} cutting @returns {boolean} whether the pale bar is visible */
export function moved(row, cutting) {
  return Math.abs(paleOf(row, cutting) - row.share) > VISIBLE;
}

/** @param {CutDrawing} drawing @returns {string} the legend for the pale bars; empty if there are none */
export function paleWords({ rows, cutting, sampling }) {
  return !rows.some((row) => moved(row, cutting)) ? "" : sampling ? CHART.unsampled : cutting ? CHART.unfiltered : CHART.untempered;
}

/** @param {Kept} kept @param {number} vocabulary @returns {string} */
export function keptWords({ count, probability, known }, vocabulary) {
  const all = `${format.count(vocabulary)} tokens`;
  if (count >= vocabulary) return `All ${all} can be drawn.`;
  const number = known ? format.count(count) : `More than ${format.count(count - 1)}`;
  return `${number} of ${all} kept, holding ${known ? "" : "about "}${format.percent(probability)} of the probability.`;
}

/** @param {CutDrawing} drawing @returns {number | null} how many tokens without a bar the filters keep; null if unknown or no filter is on */
export function othersKept({ rows, cutting, kept }) {
  return cutting && kept.known ? Math.max(0, kept.count - rows.filter(({ fell }) => !fell).length) : null;
}

/** @param {CutDrawing} drawing @returns {string} such as "49,142 others", or "2 others kept" where filters are on */
export function othersWords(drawing) {
  const kept = othersKept(drawing);
  const number = kept || drawing.otherCount;
  return CHART.others(number, Boolean(kept));
}

/** @param {CutDrawing} drawing @param {Settings} settings @returns {number} the probability below which min-p removes tokens; 0 if off */
export function leastOf({ rows, cutting, sampling }, { minP }) {
  return cutting && !sampling ? minP * (rows[0]?.probability ?? 0) : 0;
}

/**
 * @param {readonly Row[]} all candidates in order @param {number} temperature @param {Settings} settings
 * @returns {{"top-p": number, "min-p": number}} how many tokens each filter keeps; Infinity if more than the candidates
 */
function linesOf(all, temperature, { topP, minP }) {
  let sum = 0;
  let top = Infinity;
  let min = Infinity;
  all.forEach((row, at) => {
    if (top === Infinity && topP < 1 && sum >= topP - ROUNDING) top = at;
    sum += row.probability;
    if (min === Infinity && minP > 0 && likeness(row, all[0], temperature) < minP) min = at;
  });
  if (top === Infinity && topP < 1 && sum >= topP - ROUNDING) top = all.length;
  return { "top-p": Math.max(1, top), "min-p": Math.max(1, min) };
}

/** @param {Row} row @param {Row} first @param {number} temperature @returns {number} probability relative to the most likely token, in [0, 1] */
function likeness(row, first, temperature) {
  const below = row.candidate.logit - first.candidate.logit;
  if (temperature === 0) return below < 0 ? 0 : 1;
  return Math.exp(below / temperature);
}

/**
 * @param {Answer} answer @param {readonly Row[]} all @param {ReturnType<typeof linesOf>} lines @param {number} temperature
 * @param {Settings} settings @returns {Kept}
 */
function keptOf(answer, all, lines, temperature, { topP, minP }) {
  if (answer.temperature === temperature && answer.topP === topP && answer.minP === minP) return { ...answer.kept, known: true };
  const count = Math.min(lines["top-p"], lines["min-p"], answer.vocabSize);
  const sum = all.slice(0, count).reduce((total, row) => total + row.probability, 0);
  if (count <= all.length) return { count, probability: sum, known: true };
  // The cutoff is beyond the candidates: top-p keeps at least its own total, min-p anything up to everything.
  const probability = topP < 1 && minP === 0 ? Math.max(sum, topP) : (sum + Math.max(sum, Math.min(1, topP))) / 2;
  return { count: all.length + 1, probability, known: false };
}

/** @param {ReturnType<typeof linesOf>} lines @param {number} at @returns {Reason} */
function reason(lines, at) {
  return at >= lines["min-p"] && lines["min-p"] < lines["top-p"] ? "min-p" : lines["top-p"] === Infinity ? "min-p" : "top-p";
}
