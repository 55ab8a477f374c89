/**
 * What was measured, as JSON and CSV, with the field names of the HTTP API. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Method} Method
 */
import { cell } from "../share/snapshot.js";
import { here, question } from "./model.js";

const METHODS = /** @type {const} */ (["hide", "take_out", "gradient"]);

/** @param {State} state @returns {string | null} null if nothing has been measured */
export function toJson(state) {
  const [asked, known] = [question(state), here(state)];
  if (!asked || !known) return null;
  const { model, tokenIds, target, contrast, unit, method } = asked;
  const { units, logOdds, changes, end } = known;
  const told = {
    model,
    token_ids: tokenIds,
    target,
    contrast,
    unit,
    method,
    log_odds: logOdds,
    units: units.map(({ start, end: after, text, special, first }, at) => ({ start, end: after, text, is_special: special, has_first_token: first, log_odds_change: Object.fromEntries(measured(changes, at)) })),
    complete: end?.complete ?? false,
    rank_correlation: end?.correlation ?? null,
    methods_disagree: end?.disagree ?? false,
  };
  return `${JSON.stringify(told, null, 1)}\n`;
}

/** @param {State} state @returns {string | null} CSV: a row per part and method */
export function toCsv(state) {
  const known = here(state);
  if (!known) return null;
  const lines = known.units.flatMap(({ start, end, text, first }, at) => measured(known.changes, at).map(([method, by]) => [start, end, cell(text), first, method, by ?? ""]));
  return [["start", "end", "text", "has_first_token", "method", "log_odds_change"], ...lines].map((row) => `${row.join(",")}\r\n`).join("");
}

/** @param {Readonly<Record<Method, ReadonlyMap<number, number>>>} changes @param {number} at @returns {[Method, number | null][]} */
function measured(changes, at) {
  return METHODS.flatMap((method) => {
    const by = changes[method].get(at);
    return by === undefined ? [] : [[method, Number.isFinite(by) ? by : null]];
  });
}
