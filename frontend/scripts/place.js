/**
 * Where the chart stands, in words. Pure.
 *
 * @typedef {import("./state.js").State} State
 */
import * as format from "./format.js";
import { chosen } from "./look.js";
import { hidden, scene } from "./questions.js";
import { atFirst } from "./beginning.js";
import { shown, spoken } from "./tokens.js";
import * as tree from "./tree.js";

/**
 * @param {State} state @param {boolean} [aloud] as a screen reader says it
 * @returns {string} such as "Token 5 of 12 is “·time”: 3.1 %, rank 4."; empty at the end of the text
 */
export function placeWords(state, aloud = false) {
  const token = chosen(state)?.token;
  if (!token || state.current === null || state.end === null) return "";
  const count = tree.path(state.tree, state.end).length;
  const number = tree.path(state.tree, state.current).length + 1;
  const name = `Token ${format.count(number)} of ${format.count(count)} is ${aloud ? spoken(token) : shown(token)}`;
  const now = hidden(state) ? null : scene(state);
  const row = now && !now.stale ? now.drawing.rows.find(({ candidate }) => candidate.token.id === token.id) : undefined;
  if (!row) return `${name}.`;
  if (atFirst(state)) return `${name}. Nothing stands before it: the bars are those of an empty text.`;
  const likely = row.fell ? `${format.percent(row.probability)}, cut by ${row.fell}` : format.percent(row.share);
  return `${name}: ${likely}, rank ${format.count(row.candidate.rank)}.`;
}
