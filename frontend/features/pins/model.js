/**
 * Pinned distributions, and how the current one differs from them. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tokens.js").Token} Token
 * @typedef {import("../../core/settings.js").Settings} Settings
 * @typedef {import("../../core/cuts.js").CutDrawing} CutDrawing
 * @typedef {import("../../core/slices.js").Cell} Cell
 * @typedef {import("../../core/slices.js").Spread} Spread
 * @typedef {import("../../core/slices.js").Pin} Pin
 *
 * @typedef {object} Change  of one token, from the pinned to the current distribution
 * @property {Token} token
 * @property {number} by  difference of the probabilities
 *
 * @typedef {object} Strip  one pin's part of a bar
 * @property {string} name
 * @property {number} share
 * @property {boolean} known  otherwise an upper bound
 * @property {number | null} by  the bar's difference from it, if it is the one compared with
 *
 * @typedef {object} Difference
 * @property {number} moved  total variation distance, in [0, 1]
 * @property {boolean} exact  otherwise a lower bound
 * @property {Change | null} rose  the biggest gain
 * @property {Change | null} fell  the biggest drop
 * @property {number} bits  entropy, current minus pinned
 */
import { answersSteps, asked } from "../../core/chain.js";
import { cut } from "../../core/cuts.js";
import { redraw } from "../../core/distribution.js";
import * as format from "../../core/format.js";
import { oneLine } from "../../core/marks.js";
import { BREADTH, answerHere, hidden, scene, settingsHere } from "../../core/questions.js";
import { answerKey } from "../../core/state.js";
import { hex, noToken } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { PINS } from "../../core/words.js";

export const NAMES = ["A", "B", "C"];
const LONGEST_TEXT = 28;

/** @param {State} state @returns {Spread | null} the current distribution, as far as known; null while stale */
export function present(state) {
  const answer = answerHere(state);
  return answer && spread(answer, settingsHere(state));
}

/** @param {State} state @returns {string} why nothing can be pinned now; empty if it can */
export function unpinnable(state) {
  if (state.pins.length === NAMES.length) return PINS.most(NAMES.length);
  if (hidden(state)) return PINS.hidden;
  return present(state) === null ? PINS.stale : "";
}

/** @param {State} state @returns {State} with the current distribution pinned; if it is already, that pin is compared with */
export function pin(state) {
  const now = hidden(state) ? null : present(state);
  if (!now || state.current === null) return state;
  const key = answerKey(now.model, tree.tokenIds(state.tree, state.current));
  const same = (/** @type {Settings} */ { temperature, topP, minP }) => [temperature, topP, minP].join();
  const twin = state.pins.find((each) => each.key === key && same(each.settings) === same(state.settings));
  if (twin) return { ...state, versus: twin.name, said: PINS.twice(twin.name) };
  const name = NAMES.find((each) => state.pins.every((pin) => pin.name !== each));
  if (!name) return state;
  const prompt = tree.text(state.tree, state.current);
  const made = { ...now, name, key, prompt, text: ending(prompt), settings: settingsHere(state), trouble: null };
  return { ...state, pins: [...state.pins, made], versus: name, unpinned: null };
}

/** @param {State} state @param {string} name @returns {State} */
export function unpin(state, name) {
  const pins = state.pins.filter((pin) => pin.name !== name);
  const taken = state.pins.find((pin) => pin.name === name);
  if (!taken) return state;
  const unpinned = { pin: taken, versus: state.versus, at: state.current };
  return { ...state, pins, versus: state.versus === name ? (pins.at(-1)?.name ?? null) : state.versus, unpinned };
}

/** @param {State} state @returns {Pin | null} the removed pin that can be restored, until the text changes */
export function unpinned({ unpinned: last, current, draft }) {
  return last && last.at === current && draft === null ? last.pin : null;
}

/** @param {State} state @returns {State} with the last removed pin restored */
export function repin(state) {
  const back = unpinned(state);
  if (!back) return state;
  const pins = [...state.pins, back].sort((a, b) => NAMES.indexOf(a.name) - NAMES.indexOf(b.name));
  return { ...state, pins, versus: state.unpinned?.versus ?? state.versus, unpinned: null };
}

/** @param {State} state @param {string} name @returns {State} with that pin as the one to compare with */
export function versus(state, name) {
  return { ...state, versus: name };
}

/**
 * @param {State} state @param {boolean} [first] those of a link too, which have no numbers before their own answer tells their text
 * @returns {State} with pins extended by tokens received since
 */
export function deepen(state, first = false) {
  let news = false;
  const pins = state.pins.map((pin) => {
    const answer = state.answers.get(pin.key);
    if (!answer || answer.candidates.length <= pin.cells.length || !(first || known(pin))) return pin;
    const deeper = spread(answer, pin.settings);
    if (!deeper || deeper.cells.length <= pin.cells.length) return pin;
    news = true;
    return { ...pin, ...deeper };
  });
  return news ? { ...state, pins } : state;
}

/**
 * The difference from `before` to `after`. Tokens missing from one are bounded: an unlisted token is at most as likely as the
 * last listed one.
 * @param {Spread} before @param {Spread} after @returns {Difference}
 */
export function difference(before, after) {
  const [was, is] = [shares(before, after.model), shares(after, before.model)];
  const [wasMost, isMost] = [unlisted(before), unlisted(after)];
  let [up, down, restUp] = [0, 0, 0];
  /** @type {Change[]} */
  const changes = [];
  for (const key of new Set([...was.keys(), ...is.keys()])) {
    const [old, now] = [was.get(key), is.get(key)];
    const by = (now?.share ?? 0) - (old?.share ?? 0);
    up += Math.max(0, (now?.share ?? 0) - (old?.share ?? wasMost));
    down += Math.max(0, (old?.share ?? 0) - (now?.share ?? isMost));
    if (old && now) restUp -= by;
    const sure = old && now ? by : old ? Math.min(0, isMost - old.share) : Math.max(0, /** @type {Cell} */ (now).share - wasMost);
    changes.push({ token: /** @type {Cell} */ (now ?? old).token, by: sure });
  }
  const lumped = changesUp(was, is) + Math.max(0, restUp);
  const exact = before.whole && after.whole;
  const most = (/** @type {1 | -1} */ sign) => changes.reduce((best, each) => (each.by * sign > (best?.by ?? 0) * sign ? each : best), /** @type {Change | null} */ (null));
  return { moved: Math.min(1, Math.max(up, down, lumped)), exact, rose: most(1), fell: most(-1), bits: after.entropyBits - before.entropyBits };
}

/**
 * A token's probability in a pin.
 * @param {Spread} pin @param {Token} token @param {string} model whose token it is
 * @returns {{share: number, known: boolean}} unknown: an upper bound
 */
export function shareIn(pin, token, model) {
  const known = shares(pin, model).get(keyOf(token, pin.model === model, model));
  return known ? { share: known.share, known: true } : { share: unlisted(pin), known: pin.whole };
}

/** @param {Pin} pin @returns {boolean} its numbers are there */
export function known({ cells }) {
  return cells.length > 0;
}

/** @param {Pin} pin @returns {number[]} the tokens of its prompt */
export function idsOf({ key }) {
  return JSON.parse(key)[1];
}

/** @param {Pick<State, "pins" | "versus" | "model">} state @param {{share: number, candidate: {token: Token}}} row @returns {Strip[]} */
export function stripsOf({ pins, versus, model }, { share, candidate }) {
  return pins.map((pin) => {
    const found = shareIn(pin, candidate.token, model ?? "");
    const by = found.known ? share - found.share : Math.max(0, share - found.share);
    return { name: pin.name, ...found, by: pin.name === versus ? by : null };
  });
}

/** @param {Pick<Strip, "known" | "by">} strip @returns {string} in percentage points; empty if unknown */
export function gapWords({ known, by }) {
  if (by === null) return "";
  return known ? format.points(by) : by > 0 ? `≥\u202f${format.points(by)}` : "";
}

/** @type {WeakMap<readonly Cell[], Map<boolean, Map<string, Cell>>>} */
const indexed = new WeakMap();

/** @param {Spread} of @param {string} other the model it is compared with @returns {Map<string, Cell>} keyed so that both models' tokens match */
function shares(of, other) {
  const byId = of.model === other;
  const kinds = indexed.get(of.cells) ?? new Map();
  indexed.set(of.cells, kinds);
  const found = kinds.get(byId) ?? new Map(of.cells.map((cell) => [keyOf(cell.token, byId, of.model), cell]));
  kinds.set(byId, found);
  return found;
}

/** @param {Token} token @param {boolean} byId @param {string} model its own @returns {string} token ids within one model; bytes across models */
function keyOf(token, byId, model) {
  if (byId) return String(token.id);
  return noToken(token) ? `none ${token.id} ${model}` : `${token.special} ${hex(token.bytes)}`;
}

/** @param {Spread} of @returns {number} the upper bound for unlisted tokens */
function unlisted({ cells, whole }) {
  return whole ? 0 : (cells.at(-1)?.share ?? 1);
}

/** @param {Map<string, Cell>} was @param {Map<string, Cell>} is @returns {number} total gain of the tokens listed in both */
function changesUp(was, is) {
  let sum = 0;
  for (const [key, { share }] of is) if (was.has(key)) sum += Math.max(0, share - /** @type {Cell} */ (was.get(key)).share);
  return sum;
}

/** @param {import("../../core/distribution.js").Answer} answer @param {Settings} settings @returns {Spread | null} null if only the server can compute it */
function spread(answer, settings) {
  const count = Math.min(answer.candidates.length, Math.max(BREADTH, settings.topK));
  const steps = asked(settings) !== null;
  if (steps && !answersSteps(answer, settings)) return null;
  const temperature = steps ? answer.temperature : settings.temperature;
  const drawing = redraw(answer, temperature, count);
  if (!drawing) return null;
  const { rows, otherCount, otherShare, entropyBits } = cut(answer, drawing, temperature, settings);
  const cells = rows.map((row) => ({ token: row.candidate.token, share: row.share }));
  return { model: answer.model, cells, whole: otherCount === 0 || otherShare === 0, entropyBits };
}

/** @param {string} text @returns {string} its end on one line, as a pin shows it */
export function ending(text) {
  const drawn = oneLine(text);
  return drawn.length > LONGEST_TEXT ? `…${drawn.slice(-LONGEST_TEXT).toWellFormed()}` : drawn;
}
