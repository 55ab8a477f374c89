import assert from "node:assert/strict";
import test from "node:test";
import { focusBar, openTab, setInspector } from "../../../frontend/core/frame.js";
import { answerHere } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import * as tree from "../../../frontend/core/tree.js";
import { guess, present } from "../../../frontend/features/presentation/model.js";
import { agreement } from "../../../frontend/features/why/agreement.js";
import { toCsv, toJson } from "../../../frontend/features/why/exports.js";
import * as why from "../../../frontend/features/why/model.js";
import { svg } from "../../../frontend/features/why/picture.js";
import { influence, readChange, readEnd, readStart } from "../../../frontend/net/influence.js";
import { BadAnswer } from "../../../frontend/net/wire.js";
import { answer, begun, pick } from "../helpers/reader.js";

const WORDS = ["Once", " upon", " a", " time"];
const open = () => openTab(begun(WORDS.join("")), "why");
const unit = (/** @type {number} */ start, text = WORDS[start], more = {}) => ({ start, end: start + 1, kind: "word", text, is_special: false, has_first_token: start === 0, ...more });
const START = { units: [...WORDS.map((_, at) => unit(at)), { ...unit(0), end: 4, kind: "sentence", text: WORDS.join("") }], log_odds: Math.log(0.75 / 0.25) };
const ids = (/** @type {states.State} */ state) => answerHere(state)?.candidates.map(({ token }) => token.id) ?? [];
const keyOf = (/** @type {states.State} */ state) => /** @type {any} */ (why.question(state)).key;
/** @param {"hide" | "take_out" | "gradient"} method @param {Record<number, number>} changes of the log-odds, by part */
const changes = (method, changes) => ({ kind: /** @type {const} */ ("changes"), changes: Object.entries(changes).map(([at, change]) => ({ unit: Number(at), method, change })) });
const end = (complete = true, disagree = false, correlation = 0.9) => ({ kind: /** @type {const} */ ("end"), end: { complete, disagree, correlation } });

/** @param {states.State} state @param {...any} parts what has come of its question */
function come(state, ...parts) {
  const key = keyOf(state);
  return [readStart(START, 4), ...parts].reduce((now, part) => why.add(now, key, part), state);
}

test("nothing is asked while the tab is closed, presenting, guessing, generating, or without an answer", () => {
  assert.equal(why.wanted(begun()), null);
  assert.ok(why.wanted(open()));
  assert.equal(why.wanted(setInspector(open(), false)), null);
  assert.equal(why.wanted(present(open(), true)), null);
  assert.equal(why.wanted(guess(open(), true)), null);
  assert.equal(why.wanted(states.edit(open(), "Other")), null);
  assert.equal(why.wanted({ ...open(), play: { kind: "write", wrote: 1 } }), null);
  assert.equal(why.wanted({ ...open(), lost: "away" }), null);
});

test("the question follows the bar in focus, the contrast, the parts and the method", () => {
  const [best, second] = ids(open());
  const { tokenIds, target, contrast, unit: parts, method } = /** @type {any} */ (why.wanted(open()));
  assert.deepEqual([tokenIds.length, target, contrast, parts, method], [4, best, null, "word", "take_out"]);
  const focused = why.adjust(focusBar(open(), second), { contrast: best, unit: "sentence", method: "hide" });
  const asked = /** @type {any} */ (why.wanted(focused));
  assert.deepEqual([asked.target, asked.contrast, asked.unit, asked.method], [second, best, "sentence", "hide"]);
  assert.equal(/** @type {any} */ (why.wanted(focusBar(focused, best))).contrast, null, "not against itself");
  assert.equal(/** @type {any} */ (why.wanted(answer(pick(open(), 1)))).tokenIds.length, 5);
});

test("what came for one question is never shown for another; once measured, it is not asked again", () => {
  const state = come(open(), changes("hide", { 1: -1 }));
  assert.ok(why.here(state));
  assert.ok(why.wanted(state), "it goes on");
  const moved = focusBar(state, ids(state)[1]);
  assert.equal(why.here(moved), null);
  const late = why.add(moved, keyOf(state), changes("hide", { 2: 5 }));
  assert.equal(why.here(late), null);
  assert.equal(why.add(moved, "unknown", changes("hide", { 2: 5 })), moved);
  const done = come(open(), changes("take_out", { 0: -1, 1: -2, 2: 0.5, 3: -0.1 }), end());
  assert.equal(why.wanted(done), null);
  assert.equal(why.progressWords(done), "All 4 parts measured.");
  assert.equal(why.progressWords(come(open(), changes("take_out", { 1: -2 }), end(false))).split(":")[1], " 1 of 4 parts measured, the strongest first as far as can be told.");
  assert.equal(why.wanted(focusBar(focusBar(done, ids(done)[1]), ids(done)[0])), null);
  assert.equal(why.wanted(answer(pick(done, 0)))?.tokenIds.length, 5);
});

test("it stops, keeps what came, and measures again when asked", () => {
  const stopped = why.stop(come(open(), changes("hide", { 1: -1, 2: 1 }), changes("take_out", { 1: -2 })));
  assert.equal(why.wanted(stopped), null);
  assert.equal(why.progressWords(stopped), "Stopped: 1 of 4 parts measured.");
  assert.equal(why.rows(/** @type {any} */ (why.here(stopped)), "take_out")[2].quick, true);
  assert.ok(why.wanted(why.resume(stopped)));
  assert.ok(why.wanted(why.adjust(stopped, { method: "hide" })));
  assert.equal(why.stop(begun()).influencing.stopped, null);
});

test("a refusal is kept until something else is asked", () => {
  const key = keyOf(open());
  const failed = why.fail(open(), { key, message: "method: no gradient here", code: "invalid_argument", field: "method", again: false });
  assert.equal(why.wanted(failed), null);
  assert.ok(why.wanted(why.retry(failed)));
  assert.ok(why.wanted(why.adjust(failed, { method: "hide" })));
});

test("hide stands in until a part is taken out; the first token is no measure of the others", () => {
  const state = come(open(), changes("hide", { 0: -9, 1: -1, 2: 0.5 }), changes("take_out", { 1: -4 }));
  const rows = why.rows(/** @type {any} */ (why.here(state)), "take_out");
  assert.deepEqual(rows.map(({ push, quick }) => [push, quick]), [[9, true], [4, false], [-0.5, true], [null, false]]);
  assert.deepEqual(rows.map(({ strength }) => strength), [1, 1, 0.125, 0]);
  assert.deepEqual(why.sorted(rows).map(({ index }) => index), [1, 2, 0, 3]);
  assert.equal(why.progressWords(state), "1 of 4 parts measured.");
  assert.equal(why.rows(/** @type {any} */ (why.here(state)), "hide")[1].push, 1);
});

test("the strongest three in words are probabilities, or odds against the contrast", () => {
  const state = come(open(), changes("take_out", { 0: -5, 1: -Math.log(117), 2: 2, 3: 0.001 }), end());
  const [first, second, ...rest] = why.sentences(state, /** @type {any} */ (why.here(state)));
  assert.match(first, /^Taking out “.*upon.*” makes “.*” 30 times less likely: 75\.0.% → 2\.5.%\.$/);
  assert.match(second, /^Taking out “.*a.*” makes “.*” 1\.3 times more likely: 75\.0.% → 95\.7.%\.$/);
  assert.deepEqual(rest, [], "one that changes next to nothing is not one of the strongest");
  const against = why.adjust(open(), { contrast: ids(open())[2], method: "hide" });
  const known = come(against, changes("hide", { 1: -Math.log(40) }), end());
  assert.match(why.sentences(known, /** @type {any} */ (why.here(known)))[0], /^Hiding “.*upon.*” from the last position makes the odds of “.*” over “.*” 40 times smaller\.$/);
  assert.deepEqual([1.26, 9.96, 42, 1234].map(why.times), ["1.3", "10.0", "42", "1,200"]);
});

test("the text's tokens are tinted while the tab is open, all of a part, with one sign", () => {
  const two = { ...START, units: [unit(0), { ...unit(1), end: 3, text: " upon a" }, unit(3)] };
  const key = keyOf(open());
  const state = [readStart(two, 4), changes("take_out", { 0: -9, 1: -2, 2: 1 })].reduce((now, part) => why.add(now, key, /** @type {any} */ (part)), open());
  const path = tree.path(state.tree, Number(state.current)).map(({ id }) => id);
  assert.deepEqual([...why.tints(state)], [[path[1], { push: 2, strength: 1, first: true }], [path[2], { push: 2, strength: 1, first: false }], [path[3], { push: -1, strength: 0.5, first: true }]]);
  assert.equal(why.tints(setInspector(state, false)).size, 0);
  assert.equal(why.tints(present(state, true)).size, 0);
  assert.equal(why.tints(states.edit(state, "Other")).size, 0);
});

test("methods that disagree are said to", () => {
  const agreeing = come(open(), changes("take_out", { 1: -1 }), end());
  assert.equal(why.disagreement(agreeing), "");
  assert.equal(why.disagreement(come(open(), end(true, true, -0.25))), "Take out and hide disagree here (rank correlation −0.25). Don’t trust either alone.");
  const exact = come(open(), changes("take_out", { 0: 1, 1: -1, 2: -2, 3: 3 }), end());
  const gradient = why.adjust(exact, { method: "gradient" });
  assert.match(why.disagreement(come(gradient, changes("gradient", { 0: 1, 1: -3, 2: -2, 3: 1 }), end(true, false))), /^Gradient × input and take out disagree here \(rank correlation −1\.00\)/);
  assert.equal(why.disagreement(come(gradient, changes("gradient", { 0: 1, 1: -1, 2: 2, 3: -5 }), end(true, false))), "");
});

test("rank correlation is Spearman's, of sizes, with shared ranks, without the first token", () => {
  const map = (/** @type {number[]} */ ...values) => new Map(values.map((value, at) => [at, value]));
  const units = readStart(START, 4).units;
  assert.equal(agreement(map(9, 1, 2, 3), map(0, -10, 20, -30), units), 1);
  assert.equal(agreement(map(9, 1, 1, 3), map(0, 1, 2, 3), units)?.toFixed(4), "0.8660");
  assert.equal(agreement(map(9, 1, 2), map(0, 1, 2), units), null);
  assert.equal(agreement(map(9, 1, 1, 1), map(0, 1, 2, 3), units), null);
});

test("exports hold each part and method measured", () => {
  const state = come(open(), changes("hide", { 1: -1 }), changes("take_out", { 1: -2, 2: NaN }), end());
  const json = JSON.parse(/** @type {string} */ (toJson(state)));
  assert.deepEqual(json.units.map((/** @type {any} */ each) => each.log_odds_change), [{}, { hide: -1, take_out: -2 }, { take_out: null }, {}]);
  assert.deepEqual([json.complete, json.unit, json.token_ids.length], [true, "word", 4]);
  assert.deepEqual(String(toCsv(state)).trim().split("\r\n").slice(1), ['1,2," upon",false,hide,-1', '1,2," upon",false,take_out,-2', '2,3," a",false,take_out,']);
  assert.equal(toJson(open()), null);
});

test("how long it goes on is told from the pace of the first answers, and hide is offered meanwhile", async () => {
  const words = Array.from({ length: 100 }, (_, at) => ({ ...unit(0), start: at, end: at + 1, text: " w", has_first_token: at === 0 }));
  const events = [["start", { ...START, units: words, planned_tokens: 3000 }], ["change", { unit: 9, method: "hide", log_odds_change: 1 }]];
  for (let at = 0; at < 10; at++) events.push(["change", { unit: at, method: "take_out", log_odds_change: 1 }]);
  const body = [...events, ["done", { complete: true }]].map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join("");
  const before = [globalThis.fetch, globalThis.sessionStorage];
  globalThis.fetch = /** @type {any} */ (async () => new Response(body));
  try {
    const state = open();
    const asked = { ...why.question(state), tokenIds: Array(100).fill(1) };
    let seconds = 0;
    const parts = await Array.fromAsync(influence(/** @type {any} */ (asked), new AbortController().signal, () => 1000 * seconds++));
    const lefts = parts.filter(({ kind }) => kind === "changes").map((/** @type {any} */ { left }) => left);
    assert.deepEqual(lefts.slice(0, 5), [null, null, null, null, null]);
    const [work, took] = [[1, 2, 3, 4, 5, 6].reduce((sum, end) => sum + 100 - end, 0), 1];
    assert.ok(Math.abs(lefts[5] - (took * (3000 - work)) / work) < took, `${lefts}`);
    const key = keyOf(state);
    const known = (/** @type {number} */ count) => parts.slice(0, count).reduce((now, part) => why.add(now, key, part), state);
    assert.equal(why.slow(known(1)), false);
    assert.equal(why.slow(why.add(state, key, { .../** @type {any} */ (parts[0]), planned: 60_000 })), true, "before there is a pace");
    const late = why.add(known(3), key, { .../** @type {any} */ (parts[7]), left: 130 });
    assert.match(why.progressWords(late), /^\d+ of 100 parts measured, about 2 min left\.$/);
    assert.equal(why.slow(late), true);
    assert.equal(why.slow(why.adjust(late, { method: "hide" })), false);
  } finally {
    [globalThis.fetch, globalThis.sessionStorage] = before;
  }
});

test("a stream is read part by part, without the sentences around the parts", async () => {
  const events = [["start", START], ["change", { unit: 1, method: "hide", log_odds_change: -1 }], ["change", { unit: 4, method: "take_out", log_odds_change: -7 }], ["change", { unit: 1, method: "take_out", log_odds_change: null }], ["done", { complete: true, methods_disagree: false }]];
  const body = events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join("");
  /** @type {any[]} */
  const sent = [];
  const before = [globalThis.fetch, globalThis.sessionStorage];
  globalThis.fetch = /** @type {any} */ (async (/** @type {string} */ path, /** @type {any} */ options) => {
    sent.push([path, JSON.parse(options.body)]);
    return new Response(sent.length > 1 ? body.slice(0, -90) : body);
  });
  try {
    const asked = /** @type {any} */ (why.question(open()));
    const parts = await Array.fromAsync(influence(asked, new AbortController().signal));
    assert.deepEqual(sent[0], ["api/influence", { model: "tiny", token_ids: asked.tokenIds, target: asked.target, unit: "word", method: "take_out" }]);
    assert.deepEqual(parts.map(({ kind }) => kind), ["start", "changes", "end"]);
    assert.deepEqual(/** @type {any} */ (parts[1]).changes.map((/** @type {any} */ { unit: at, method, change }) => [at, method, change]), [[1, "hide", -1], [1, "take_out", NaN]]);
    await assert.rejects(Array.fromAsync(influence(asked, new AbortController().signal)), /broke off/);
  } finally {
    [globalThis.fetch, globalThis.sessionStorage] = before;
  }
});

test("events that are none are refused by their field", () => {
  assert.throws(() => readStart({ units: [unit(9)], log_odds: 0 }, 4), BadAnswer);
  assert.throws(() => readStart({ units: [unit(0)], log_odds: null }, 4), BadAnswer);
  assert.throws(() => readChange({ unit: 0, method: "guess", log_odds_change: 0 }), BadAnswer);
  assert.deepEqual(readEnd({ complete: false, rank_correlation: null, methods_disagree: true }), { complete: false, correlation: null, disagree: true });
});

test("the picture has the strongest in words and a bar for each part, to the side it pushes to, and no markup from the text", () => {
  const colours = /** @type {any} */ ({ bar: "#0000ff", pinA: "#ff8800", other: "#777777", ink: "#000000", quiet: "#333333", surface: "#ffffff", track: "#eeeeee" });
  assert.equal(svg(open(), colours), null);
  const key = keyOf(open());
  const units = [unit(0), unit(1), unit(2, " <b>&"), unit(3)];
  const measured = [readStart({ ...START, units }, 4), changes("take_out", { 0: -3, 1: -2, 2: 1, 3: Infinity }), end()].reduce((now, part) => why.add(now, key, part), open());
  const drawn = /** @type {string} */ (svg(measured, colours));
  const bars = [...drawn.matchAll(/class="push" x="([\d.]+)" y="\d+" width="([\d.]+)" height="16" fill="(.*?)"/g)].map(([, x, width, fill]) => [Number(x), Number(width), fill]);
  assert.deepEqual(bars.slice(0, 3), [[580, 260, "#0000ff"], [450, 130, "#ff8800"], [580, 260, "#777777"]], "for, against, and the first token, which can't be compared");
  assert.equal(bars.length, 4);
  assert.match(drawn, /2\.6 times less likely: 75\.0\s% → 28\.9\s%/);
  assert.match(drawn, /&lt;b&gt;&amp;/);
  assert.doesNotMatch(drawn, /<b>|NaN|undefined/);
});
