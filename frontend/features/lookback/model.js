/**
 * Describes the chart's position. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { atFirst } from "../../core/beginning.js";
import * as format from "../../core/format.js";
import { layerHere } from "../../core/inside.js";
import { chosen } from "../../core/lookback.js";
import { hidden, scene } from "../../core/questions.js";
import { shown, spoken } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { CHART, LOOKBACK } from "../../core/words.js";

/** @param {State} state @returns {string} for the bars of an earlier layer; empty for the answer's */
export function layerWords(state) {
  const layer = layerHere(state);
  return layer === null ? "" : LOOKBACK.layer(layer, Number(state.layering.answer?.layers.length) - 1);
}

/**
 * @param {State} state @param {boolean} [aloud] for screen readers
 * @returns {string} such as "Token 5 of 12 is “·time”: 3.1 %, rank 4."; empty at the end of the text
 */
export function placeWords(state, aloud = false) {
  const token = chosen(state)?.token;
  if (!token || state.current === null || state.end === null) return "";
  const count = tree.path(state.tree, state.end).length;
  const number = tree.path(state.tree, state.current).length + 1;
  const name = LOOKBACK.place(number, count, aloud ? spoken(token) : shown(token));
  const now = hidden(state) ? null : scene(state);
  const row = now && !now.stale ? now.drawing.rows.find(({ candidate }) => candidate.token.id === token.id) : undefined;
  if (!row) return `${name}.`;
  if (atFirst(state)) return `${name}. ${LOOKBACK.first}`;
  const likely = row.fell ? `${format.percent(row.probability)}, ${CHART.removed(row.fell)}` : format.percent(row.share);
  return `${name}: ${likely}, rank ${format.count(row.candidate.rank)}.`;
}
