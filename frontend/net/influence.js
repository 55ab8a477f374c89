/**
 * Asks which parts of a prompt push a token, and reads the changes as they come.
 *
 * @typedef {import("../core/slices_later.js").Unit} Unit
 * @typedef {import("../core/slices_later.js").Method} Method
 * @typedef {import("../core/slices_later.js").UnitKind} UnitKind
 * @typedef {import("../core/slices_later.js").Influenced} Influenced
 *
 * @typedef {object} Question
 * @property {string} key
 * @property {string} model
 * @property {readonly number[]} tokenIds
 * @property {number} target
 * @property {number | null} contrast
 * @property {UnitKind} unit
 * @property {Method} method
 *
 * @typedef {{unit: number, method: Method, change: number}} Change
 * @typedef {{kind: "start", units: Unit[], logOdds: number, planned: number}} Start
 * @typedef {Start | {kind: "changes", changes: Change[], left: number | null} | {kind: "end", end: NonNullable<Influenced["end"]>}} Part
 */
import { CallFailed } from "./api.js";
import { stream } from "./events.js";
import { BadAnswer, list, number } from "./wire.js";

const METHODS = new Set(["take_out", "hide", "gradient"]);
const TOGETHER = 64; // changes per step of the page
const FEW = 6; // answers that tell the pace

/** @param {Question} question @param {AbortSignal} signal @param {() => number} [clock] in milliseconds @returns {AsyncGenerator<Part>} @throws {CallFailed} */
export async function* influence({ model, tokenIds, target, contrast, unit, method }, signal, clock = () => performance.now()) {
  const body = { model, token_ids: tokenIds, target, ...(contrast !== null && { contrast }), unit, method };
  /** @type {Change[]} */
  let changes = [];
  let units = 0;
  /** @type {number[]} tokens to compute without a part */
  let costs = [];
  let pace = createPace(0, clock);
  try {
    for await (const { name, data } of stream("api/influence", body, signal)) {
      if (name === "start") {
        const start = readStart(data, tokenIds.length);
        units = start.units.length;
        costs = data.units.map((/** @type {any} */ each) => tokenIds.length - each.end);
        pace = createPace(start.planned, clock);
        yield start;
      } else if (name === "change") {
        const change = readChange(data);
        if (change.method === "take_out") pace.add(costs[change.unit] ?? 0);
        else pace.begin();
        if (change.unit < units) changes.push(change);
        else if (change.method === "hide" || pace.left() === null) continue; // of a sentence around the parts
        if (change.method === "hide" && method === "take_out" && changes.length < Math.min(TOGETHER, units - 1)) continue; // hide has none for the last token
        yield { kind: "changes", changes, left: pace.left() };
        changes = [];
      } else if (name === "done") {
        if (changes.length) yield { kind: "changes", changes, left: null };
        yield { kind: "end", end: readEnd(data) };
        return;
      }
    }
  } catch (error) {
    if (error instanceof BadAnswer || error instanceof TypeError) throw new CallFailed(`The server’s answer can’t be read: ${error.message}.`, "bad_answer");
    throw error;
  }
  throw new CallFailed("The stream broke off.", "unreachable");
}

/** @param {any} json @param {number} count of tokens @returns {Start} without the sentences that follow the parts @throws {BadAnswer} */
export function readStart(json, count) {
  const all = list(json?.units, "units").map((unit, at) => readUnit(unit, `units[${at}]`, count));
  const rest = all.findIndex((unit, at) => at > 0 && unit.start < all[at - 1].end);
  return { kind: "start", units: rest < 0 ? all : all.slice(0, rest), logOdds: number(json.log_odds, "log_odds"), planned: number(json.planned_tokens ?? 0, "planned_tokens", 0) };
}

/**
 * How long taking out parts goes on, by how long the first of them took.
 * @param {number} planned tokens to compute @param {() => number} clock
 */
function createPace(planned, clock) {
  let [begun, done, count] = [clock(), 0, 0];
  return {
    begin: () => void (begun = clock()),
    add(/** @type {number} */ tokens) {
      done += tokens;
      count++;
    },
    /** @returns {number | null} seconds; null: not known yet */
    left: () => (count < FEW || !done ? null : (Math.max(0, planned - done) / done) * ((clock() - begun) / 1000)),
  };
}

/** @param {any} json @param {string} field @param {number} count @returns {Unit} */
function readUnit(json, field, count) {
  const start = number(json?.start, `${field}.start`, 0);
  const end = number(json.end, `${field}.end`, start + 1);
  if (end > count) throw new BadAnswer(`${field}.end is ${end}`);
  return { start, end, text: typeof json.text === "string" ? json.text : "", special: Boolean(json.is_special), first: Boolean(json.has_first_token) };
}

/** @param {any} json @returns {Change} @throws {BadAnswer} */
export function readChange(json) {
  if (!METHODS.has(json?.method)) throw new BadAnswer(`method is ${JSON.stringify(json?.method)}`);
  // JSON has no infinity: null means that the odds became 0 or infinite.
  const change = json.log_odds_change === null ? NaN : number(json.log_odds_change, "log_odds_change");
  return { unit: number(json.unit, "unit", 0), method: json.method, change };
}

/** @param {any} json @returns {NonNullable<Influenced["end"]>} @throws {BadAnswer} */
export function readEnd(json) {
  const { rank_correlation: correlation = null } = json ?? {};
  return {
    complete: Boolean(json?.complete),
    correlation: correlation === null ? null : number(correlation, "rank_correlation", -1),
    disagree: Boolean(json?.methods_disagree),
  };
}
