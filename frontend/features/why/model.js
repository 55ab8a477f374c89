/**
 * Which parts of the text push the token in focus: what is asked, what has come, and what it says. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/distribution.js").Candidate} Candidate
 * @typedef {import("../../core/slices_later.js").Influenced} Influenced
 * @typedef {import("../../core/slices_later.js").Influencing} Influencing
 * @typedef {import("../../core/slices_later.js").Method} Method
 * @typedef {import("../../core/slices_later.js").Unit} Unit
 * @typedef {import("../../core/slices.js").Trouble} Trouble
 * @typedef {import("../../net/influence.js").Question} Question
 * @typedef {import("../../net/influence.js").Part} Part
 *
 * @typedef {object} Row  a part of the text
 * @property {number} index  among the parts
 * @property {Unit} unit
 * @property {number | null} push  for (above 0) or against the target, in nats; null: not measured
 * @property {boolean} quick  by hide, while take out has not measured it
 * @property {number} strength  relative to the strongest, in [0, 1]
 */
import { focusHere, wishedBar } from "../../core/focus.js";
import * as format from "../../core/format.js";
import { showing } from "../../core/frame.js";
import { marks } from "../../core/marks.js";
import { shown } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { WHY } from "../../core/words_later.js";
import { agreement } from "./agreement.js";

const MOST_RESULTS = 30;
const STRONGEST = 3;
const AGREED = 0.5; // rank correlation
const SOON = 5; // seconds
const MANY = 5000; // tokens to compute, which takes some seconds on a CPU
const [SLIGHT, LEAST] = [1.1, 1.01]; // factors

/** @param {State} state @returns {Candidate | null} the second token of the log-odds; null: all others */
export function contrastHere(state) {
  return wishedBar(state, state.influencing.contrast);
}

/** @param {State} state @param {Method} [method] @returns {Question | null} for the chart's position; null while it has no answer */
export function question(state, method = state.influencing.method) {
  const { model, current } = state;
  const focus = focusHere(state);
  if (model === null || current === null || focus === null || state.draft !== null || state.play?.kind === "write") return null;
  const asked = { model, tokenIds: tree.tokenIds(state.tree, current), target: focus.token.id, contrast: contrastHere(state)?.token.id ?? null, unit: state.influencing.unit, method };
  return { key: JSON.stringify(asked), ...asked };
}

/** @param {State} state @returns {Question | null} while the tab is in view and not everything has been measured */
export function wanted(state) {
  if (!showing(state, "why") || state.lost !== null) return null;
  const asked = question(state);
  if (asked === null || state.models?.find((each) => each.name === asked.model)?.state !== "ready") return null;
  const { results, trouble, stopped } = state.influencing;
  return results.get(asked.key)?.end || trouble?.key === asked.key || stopped === asked.key ? null : asked;
}

/** @param {State} state @param {string} key of the question @param {Part} part @returns {State} */
export function add(state, key, part) {
  const results = new Map(state.influencing.results);
  const known = results.get(key);
  results.delete(key);
  if (part.kind === "start") {
    results.set(key, { units: part.units, logOdds: part.logOdds, changes: { take_out: new Map(), hide: new Map(), gradient: new Map() }, end: null, planned: part.planned, left: null });
    for (const oldest of results.keys()) {
      if (results.size <= MOST_RESULTS) break;
      results.delete(oldest);
    }
  } else if (!known) return state;
  else if (part.kind === "end") results.set(key, { ...known, end: part.end });
  else {
    const changes = { ...known.changes };
    for (const { unit, method, change: by } of part.changes) {
      if (changes[method] === known.changes[method]) changes[method] = new Map(changes[method]);
      /** @type {Map<number, number>} */ (changes[method]).set(unit, by);
    }
    results.set(key, { ...known, changes, left: part.left });
  }
  return change(state, { results });
}

/** @param {State} state @param {Trouble} trouble @returns {State} */
export function fail(state, trouble) {
  return change(state, { trouble });
}

/** @param {State} state @returns {State} */
export function retry(state) {
  return state.influencing.trouble ? change(state, { trouble: null }) : state;
}

/** @param {State} state @returns {State} with what was measured so far */
export function stop(state) {
  const asked = wanted(state);
  return asked ? change(state, { stopped: asked.key }) : state;
}

/** @param {State} state @returns {State} measuring again what was stopped or has failed */
export function resume(state) {
  return change(state, { stopped: null, trouble: null });
}

/** @param {State} state @param {Partial<Pick<Influencing, "contrast" | "unit" | "method">>} changes @returns {State} */
export function adjust(state, changes) {
  return change(state, { ...changes, trouble: null, stopped: null });
}

/** @param {State} state @returns {Influenced | null} what is known of the question of now */
export function here(state) {
  const asked = question(state);
  return asked ? (state.influencing.results.get(asked.key) ?? null) : null;
}

/** @param {Influenced} known @param {Method} method @returns {Row[]} in the order of the text */
export function rows({ units, changes }, method) {
  const rows = units.map((unit, index) => {
    const exact = changes[method].get(index);
    const guess = method === "take_out" ? changes.hide.get(index) : undefined;
    const by = exact ?? guess;
    return { index, unit, push: by === undefined ? null : 0 - by, quick: exact === undefined && guess !== undefined, strength: 0 };
  });
  // The first token's is not comparable: it would dwarf the others.
  const most = Math.max(1e-9, ...rows.filter(ranked).map(({ push }) => Math.abs(Number(push))));
  return rows.map((row) => ({ ...row, strength: row.push === null ? 0 : Math.min(1, Number.isNaN(row.push) ? 1 : Math.abs(row.push) / most) }));
}

/** @param {Pick<Row, "unit" | "push">} row @returns {boolean} it can be compared with others */
function ranked({ unit, push }) {
  return !unit.first && push !== null && Number.isFinite(push);
}

/** @param {readonly Row[]} all @returns {Row[]} the strongest first; what can't be compared last */
export function sorted(all) {
  const weight = (/** @type {Row} */ row) => (ranked(row) ? Math.abs(Number(row.push)) : row.push === null ? -2 : -1);
  return [...all].sort((one, other) => weight(other) - weight(one));
}

/** @param {Unit} unit @returns {string} quoted, with invisible characters marked */
export function unitWords({ text }) {
  const drawn = marks(text).map((piece) => piece.glyph || piece.text).join("").trim();
  const letters = [...drawn];
  return `“\u2068${letters.length > 40 ? `${letters.slice(0, 19).join("")} … ${letters.slice(-19).join("")}` : drawn}\u2069”`;
}

/** @param {State} state @param {Influenced} known @returns {string[]} what the strongest three do */
export function sentences(state, known) {
  const { method } = state.influencing;
  const focus = focusHere(state);
  if (!focus) return [];
  const against = contrastHere(state);
  return sorted(rows(known, method)).filter(ranked).slice(0, STRONGEST).filter(({ push }) => Math.exp(Math.abs(Number(push))) > LEAST).map(({ unit, push, quick }) => {
    const what = WHY.did[quick ? "hide" : method](unitWords(unit));
    const by = 0 - Number(push);
    if (against) return WHY.odds(what, shown(focus.token), shown(against.token), times(Math.exp(Math.abs(by))), by < 0);
    const [from, to] = [likely(known.logOdds), likely(known.logOdds + by)];
    const factor = by < 0 ? from / to : to / from;
    const [before, after] = [format.percent(from), format.percent(to)];
    return factor < SLIGHT ? WHY.slightly(what, shown(focus.token), by < 0, before, after) : WHY.times(what, shown(focus.token), times(factor), by < 0, before, after);
  });
}

/** @param {number} odds log-odds in nats @returns {number} the probability */
function likely(odds) {
  return 1 / (1 + Math.exp(-odds));
}

/** @param {number} factor @returns {string} such as "1.3", "40" or "1,200" */
export function times(factor) {
  return factor < 10 ? factor.toFixed(1) : format.count(Number(factor.toPrecision(2)));
}

/** @param {Influenced} known @param {Method} method @returns {{done: number, total: number}} */
export function progress({ units, changes }, method) {
  return { done: changes[method].size, total: units.length };
}

/** @param {State} state @returns {string} how far the measuring is */
export function progressWords(state) {
  const asked = question(state);
  const known = here(state);
  if (!asked || !known) return WHY.waiting;
  const { done, total } = progress(known, asked.method);
  if (known.end) {
    if (total < 2) return WHY.one;
    return !known.end.complete ? WHY.partly(done, total) : done < total ? WHY.itself(done, total) : WHY.done(total);
  }
  return state.influencing.stopped === asked.key ? WHY.stopped(done, total) : WHY.progress(done, total, known.left !== null && known.left > SOON ? format.timeLeft(known.left) : "");
}

/** @param {State} state @returns {boolean} taking out goes on for long: hide would answer at once */
export function slow(state) {
  const known = wanted(state)?.method === "take_out" ? here(state) : null;
  return known !== null && (known.left === null ? known.planned > MANY : known.left > SOON);
}

/** @param {State} state @returns {string} if the method shown and another one known tell different stories; else empty */
export function disagreement(state) {
  const { method, results } = state.influencing;
  const known = here(state);
  if (!known?.end) return "";
  if (method === "take_out") {
    const { disagree, correlation } = known.end;
    return disagree && correlation !== null ? WHY.disagree(WHY.names.take_out, WHY.names.hide.toLowerCase(), format.signed(correlation)) : "";
  }
  // Take out has been measured for the same question before.
  const exact = results.get(question(state, "take_out")?.key ?? "");
  const correlation = exact?.end ? agreement(known.changes[method], exact.changes.take_out, known.units) : null;
  return correlation !== null && correlation < AGREED ? WHY.disagree(WHY.names[method], WHY.names.take_out.toLowerCase(), format.signed(correlation)) : "";
}

/** @param {State} state @returns {ReadonlyMap<number, {push: number, strength: number, first: boolean}>} what tints the text's tokens, by node; the first of a part carries its sign */
export function tints(state) {
  /** @type {Map<number, {push: number, strength: number, first: boolean}>} */
  const found = new Map();
  const known = showing(state, "why") ? here(state) : null;
  if (known === null || state.current === null) return found;
  const nodes = tree.path(state.tree, state.current);
  for (const row of rows(known, state.influencing.method)) {
    if (!ranked(row)) continue;
    for (let at = row.unit.start; at < row.unit.end && at < nodes.length; at++) {
      found.set(nodes[at].id, { push: Number(row.push), strength: row.strength, first: at === row.unit.start });
    }
  }
  return found;
}

/** @param {State} state @returns {string} the token that is explained, for labels */
export function targetName(state) {
  const focus = focusHere(state);
  return focus ? shown(focus.token) : "";
}

/** @param {number | null} push @returns {string} signed, with two digits */
export function pushWords(push) {
  if (push === null) return WHY.unmeasured;
  if (!Number.isFinite(push)) return WHY.infinite;
  return push > 0 ? `+${format.signed(push)}` : format.signed(push);
}

/** @param {State} state @param {Partial<Influencing>} changes @returns {State} */
function change(state, changes) {
  return { ...state, influencing: { ...state.influencing, ...changes } };
}
