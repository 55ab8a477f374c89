import assert from "node:assert/strict";
import test from "node:test";
import { focusBar, openTab, setInspector } from "../../../frontend/core/frame.js";
import { appendRow, layerHere, leaveLayer, shownScene } from "../../../frontend/core/inside.js";
import { look } from "../../../frontend/core/lookback.js";
import { answerHere, scene } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import * as tree from "../../../frontend/core/tree.js";
import { toCsv, toJson } from "../../../frontend/features/layers/exports.js";
import * as layers from "../../../frontend/features/layers/model.js";
import { svg } from "../../../frontend/features/layers/picture.js";
import { layerWords } from "../../../frontend/features/lookback/model.js";
import { present, guess } from "../../../frontend/features/presentation/model.js";
import { readLayers } from "../../../frontend/net/layers.js";
import { BadAnswer } from "../../../frontend/net/wire.js";
import { softmax, wireToken } from "../helpers/answers.js";
import { VALUES, answer, begun, pick } from "../helpers/reader.js";

const open = (text = "Once upon a time", facts = {}) => openTab(begun(text, facts), "layers");
/** Logits after each layer of a model whose answer is VALUES: token 30 leads, then 7, then the answer. */
const SAID = [VALUES.map((value, id) => (id === 30 ? 20 : value / 9)), VALUES.map((value, id) => (id === 7 ? 20 : value / 3)), VALUES];

/** @param {readonly number[]} values @param {number} id */
function candidate(values, id) {
  const order = values.map((_, at) => at).sort((a, b) => values[b] - values[a] || a - b);
  return { ...wireToken(id, ` w${id}`), rank: order.indexOf(id) + 1, logit: values[id], probability: softmax([...values], 1)[id] };
}

/** The server's part. @param {import("../../../frontend/net/layers.js").Question} asked @param {object} [more] */
function wire(asked, more = {}) {
  return {
    model: asked.model,
    layers: SAID.map((values) => {
      const order = values.map((_, at) => at).sort((a, b) => values[b] - values[a] || a - b);
      return { candidates: order.slice(0, asked.topK).map((id) => candidate(values, id)), watched: asked.watch.map((id) => candidate(values, id)), entropy_bits: 2, kl_to_final_bits: null };
    }),
    commitment: { top1_layer: 2, top3_layer: 1, half_layer: null },
    contributions: asked.contrast ? [{ layer: 0, part: "embedding", logit_difference: 0.25 }, { layer: 1, part: "attention", logit_difference: -2 }, { layer: 1, part: "mlp", logit_difference: 3 }, { layer: 2, part: "bias", logit_difference: 0.5 }] : [],
    logit_difference: asked.contrast ? 1.75 : null,
    before_soft_cap: false,
    attention: asked.attention ? [1, 2].map(() => [asked.tokenIds.map(() => 0.25), asked.tokenIds.map((_, at) => (at ? 0 : 1))]) : [],
    ...more,
  };
}

/** @param {states.State} state with all that it asks answered */
function read(state) {
  let next = state;
  for (let rounds = 0; rounds < 4; rounds++) {
    const asked = layers.wanted(next);
    if (!asked) return next;
    next = layers.receive(next, asked, readLayers(wire(asked), asked));
  }
  throw new Error("it never stops asking");
}

test("nothing is asked while the tab is closed, presenting, guessing, dragging, generating, or without an answer", () => {
  assert.equal(layers.wanted(begun()), null);
  assert.ok(layers.wanted(open()));
  assert.equal(layers.wanted(setInspector(open(), false)), null);
  assert.equal(layers.wanted(present(open(), true)), null);
  assert.equal(layers.wanted(guess(open(), true)), null);
  assert.equal(layers.wanted(states.edit(open(), "Other")), null);
  assert.equal(layers.wanted(settings.set(open(), { temperature: 2 }, true)), null);
  assert.equal(layers.wanted({ ...open(), play: { kind: "write", wrote: 1 } }), null);
  assert.equal(layers.wanted({ ...open(), lost: "away" }), null);
});

test("the answer's tokens, the one in focus and its contrast are followed; those that ever led join them in a second question", () => {
  const first = /** @type {any} */ (layers.wanted(open()));
  const best = answerHere(open())?.candidates.map(({ token }) => token.id) ?? [];
  assert.deepEqual(first.watch, best.slice(0, 8));
  assert.deepEqual(first.contrast, best.slice(0, 2));
  assert.equal(first.attention, false);
  const state = read(open());
  const ids = layers.followed(/** @type {any} */ (layers.here(state))).map(({ token }) => token.id);
  assert.ok(ids.includes(30) && ids.includes(7));
  const far = focusBar(open(), best[9]);
  assert.deepEqual([/** @type {any} */ (layers.wanted(far)).contrast, /** @type {any} */ (layers.wanted(far)).watch.at(8)], [[best[9], best[0]], best[9]]);
  const other = layers.adjust(far, { contrast: best[4] });
  assert.deepEqual(/** @type {any} */ (layers.wanted(other)).contrast, [best[9], best[4]]);
  assert.deepEqual(/** @type {any} */ (layers.wanted(focusBar(other, best[4]))).contrast, [best[4], best[0]]);
});

test("a model without parts or attention is not asked for them, one without layers for nothing", () => {
  assert.equal(layers.wanted(open("One two", { contrast_refusal: "no" }))?.contrast, null);
  assert.equal(layers.wanted(layers.adjust(open("One two", { attention_refusal: "no" }), { attending: true }))?.attention, false);
  assert.equal(layers.wanted(layers.adjust(open(), { attending: true }))?.attention, true);
  const refused = open("One two", { layers_refusal: "It has none." });
  assert.equal(layers.wanted(refused), null);
  assert.equal(layers.refusals(refused).layers, "It has none.");
});

test("attention once had stays while other things are asked about the same text", () => {
  const state = read(layers.adjust(read(open()), { attending: true }));
  const closed = layers.adjust(state, { attending: false });
  const moved = read(focusBar(closed, Number(answerHere(closed)?.candidates[3].token.id)));
  assert.equal(layers.here(moved)?.attention.length, 2);
  assert.equal(layers.wanted(layers.adjust(moved, { attending: true })), null);
  const told = /** @type {any} */ (layers.here(moved));
  assert.deepEqual(layers.weights(told, 1, null), [0.625, 0.125, 0.125, 0.125]);
  assert.deepEqual(layers.weights(told, 2, 1), [1, 0, 0, 0]);
  assert.deepEqual(layers.weights(told, 0, null), []);
});

test("a layer moves the same bars, with the answer's first token among them; the last layer is the answer", () => {
  const state = layers.choose(read(open()), 1);
  assert.equal(layerHere(state), 1);
  const rows = /** @type {any} */ (shownScene(state)).drawing.rows;
  assert.deepEqual([rows[0].candidate.token.id, rows.length >= 10, shownScene(state)?.stale], [7, true, false]);
  const winner = scene(state)?.drawing.rows[0].candidate.token.id;
  assert.ok(rows.some((/** @type {any} */ { candidate: each }) => each.token.id === winner));
  assert.ok(Math.abs(rows[0].share - softmax(SAID[1], 1)[7]) < 1e-9);
  assert.match(layerWords(state), /^Layer 1 of 2: what the model would say/);
  assert.equal(shownScene(settings.set(state, { temperature: 0.5 }))?.stale, true);
  assert.equal(layerHere(leaveLayer(state)), null);
  assert.equal(layerHere(layers.choose(state, 2)), null);
  assert.equal(layerHere(setInspector(state, false)), null);
  assert.equal(layerWords(leaveLayer(state)), "");
});

test("a click on a layer's bar appends its token, and the bars are the answer's again", () => {
  const state = layers.choose(read(open()), 0);
  const rows = /** @type {any} */ (shownScene(state)).drawing.rows;
  const picked = appendRow(state, rows[0]);
  assert.equal(states.textHere(picked), "Once upon a time w30");
  assert.equal(layerHere(picked), null);
  const winner = rows.find((/** @type {any} */ { candidate: each }) => each.token.id === scene(state)?.drawing.rows[0].candidate.token.id);
  const known = appendRow(state, winner);
  assert.equal(tree.node(known.tree, Number(known.current)).rank, 1, "with the answer's numbers, not the layer's");
});

test("answers to a former text are not shown for another one, and the open tab asks anew", () => {
  const state = read(open());
  const next = pick(state, 0);
  assert.equal(layers.here(next), null);
  assert.equal(layers.wanted(next), null);
  const answered = answer(next);
  assert.equal(layers.here(answered), null);
  assert.equal(layers.wanted(answered)?.tokenIds.length, 5);
  const long = open("One w3 w5");
  const back = look(long, Number(long.current));
  assert.equal(layers.wanted(answer(back))?.tokenIds.length, 2);
});

test("a question that failed is not repeated until it is to be retried", () => {
  const state = open();
  const { key } = /** @type {any} */ (layers.wanted(state));
  const failed = layers.fail(state, { key, message: "no", code: "internal", field: null, again: false });
  assert.equal(layers.wanted(failed), null);
  assert.ok(layers.wanted(layers.retry(failed)));
  assert.equal(layers.retry(state), state);
});

test("heights by percentage, on the logarithmic scale, and by rank", () => {
  const place = { probability: 0.001, rank: 10 };
  assert.equal(layers.height(place, "linear", 100), 0.001);
  assert.equal(layers.height(place, "log", 100), 0.5);
  assert.equal(layers.height(place, "rank", 100), 0.5);
  const told = /** @type {any} */ (layers.here(read(open())));
  assert.deepEqual(layers.heights(told, 7, "linear", 40).map((value) => value > 0.9), [false, true, false]);
});

test("what it says: the commitment, the leader of a layer, the parts that add most", () => {
  const told = /** @type {any} */ (layers.here(read(open())));
  assert.match(layers.commitmentWords(told), /^“.*” leads only after the last layer; among the first three from layer 1 on\.$/);
  assert.match(layers.commitmentWords({ ...told, commitment: { top1: 1, top3: 0, half: 1 } }), /leads from layer 1 on, with more than half of the probability; among the first three from the embedding on\.$/);
  assert.match(layers.leadWords(told, 1), /^Layer 1 of 2: “.*w7.*” leads, >99/);
  assert.equal(layers.strongestWords(told), "Most by MLP of layer 1 (+3.00), attention of layer 1 (−2.00), bias (+0.50).");
  assert.deepEqual(layers.columns(told), [{ attention: 0, mlp: 0, other: 0.25 }, { attention: -2, mlp: 3, other: 0 }, { attention: 0, mlp: 0, other: 0.5 }]);
});

test("exports hold every layer's tokens once, and nothing that a spreadsheet would run", () => {
  const told = /** @type {any} */ (layers.here(read(open())));
  const json = JSON.parse(toJson(told));
  assert.deepEqual([json.layers.length, json.token_ids.length, json.layers[0].kl_to_final_bits, json.contributions.length], [3, 4, null, 4]);
  const lines = toCsv(told).trim().split("\r\n");
  const ids = lines.slice(1).filter((line) => line.startsWith("1,")).map((line) => line.split(",")[4]);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.length >= 10);
});

test("the picture has a cell for each token and layer, a line for each token, and no markup from tokens", () => {
  const told = /** @type {any} */ (layers.here(read(open())));
  const rows = layers.followed(told).length;
  told.layers[2].watched[0].token.bytes = new TextEncoder().encode("<b>&");
  const colours = /** @type {any} */ ({ bar: "#123456", ink: "#000000", quiet: "#333333", surface: "#ffffff", other: "#777777", pinA: "#aa5500" });
  const drawn = svg(told, { answer: told, scale: "log", vocabulary: 40, focus: Number(told.contrast[0]), against: Number(told.contrast[1]) }, colours);
  assert.equal(drawn.match(/fill-opacity/g)?.length, rows * 3);
  assert.equal(drawn.match(/<polyline/g)?.length, rows);
  assert.match(drawn, /&lt;b&gt;&amp;/);
  assert.doesNotMatch(drawn, /<b>|NaN|undefined/);
});

test("an answer that is none is refused by its field", () => {
  const asked = /** @type {any} */ (layers.wanted(layers.adjust(open(), { attending: true })));
  const wrong = (/** @type {object} */ more, /** @type {RegExp} */ field) => assert.throws(() => readLayers(wire(asked, more), asked), (error) => error instanceof BadAnswer && field.test(error.message));
  wrong({ model: "other" }, /^model/);
  wrong({ layers: [] }, /^layers/);
  wrong({ commitment: { top1_layer: 3, top3_layer: 0, half_layer: null } }, /^commitment.top1_layer is 3/);
  wrong({ attention: [[[1]]] }, /^attention\[0\]\[0\]/);
  wrong({ contributions: [{ layer: 9, part: "mlp", logit_difference: 0 }] }, /^contributions\[0\]/);
  const other = wire(asked);
  other.layers[1].watched.pop();
  assert.throws(() => readLayers(other, asked), /layers\[1\]\.watched/);
});
