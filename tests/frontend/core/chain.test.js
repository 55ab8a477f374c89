import assert from "node:assert/strict";
import test from "node:test";
import { answersSteps, asked, readChain, samplingOf, stepsWords } from "../../../frontend/core/chain.js";
import { cut, leastOf, paleWords } from "../../../frontend/core/cuts.js";
import { redraw } from "../../../frontend/core/distribution.js";
import { coin, uniform } from "../../../frontend/core/draws.js";
import { FIRST_CHAIN, ORDERS, PARAMETERS, made } from "../../../frontend/features/samplers/model.js";
import { steps as stepsInWords } from "../../../frontend/features/steps/model.js";
import { nameOf, withSampling } from "../../../frontend/net/sampled.js";
import { BadAnswer, readAnswer } from "../../../frontend/net/wire.js";
import { logits, wireAnswer } from "../helpers/answers.js";

const VALUES = logits(5, 40, 2);
const PLAIN = { topK: 5, temperature: 1, topP: 1, minP: 0 };

/** @param {Record<string, object>} changes by step @param {readonly any[]} [order] of their names */
function chain(changes, order = ORDERS.transformers) {
  return order.map((name) => made({ ...FIRST_CHAIN.find((step) => step.name === name), ...changes[name] }));
}

/** @param {any} settings */
const names = (settings) => asked(settings)?.flatMap(Object.keys) ?? null;

/**
 * The server's answer after a ban of the most likely token, a bias that makes the fourth the most likely, and top-k 3.
 * @param {any} settings
 */
function answered(settings) {
  const wire = wireAnswer(VALUES, { topK: 5 });
  const shares = [0, 0.3, 0.1, 0.6, 0];
  const fell = [0, null, null, null, 2];
  wire.candidates.forEach((each, at) => (each.sampled = { probability: shares[at], logprob: null, fell_at: fell[at] }));
  const steps = [{ count: 39, probability: 0.6 }, { count: 39, probability: 1 }, { count: 3, probability: 0.8 }];
  wire.sampling = { steps, likeliest: [3, 1, 2].map((at) => wire.candidates[at]), entropy_bits: 1.3 };
  wire.kept = { count: 3, probability: 0.4 };
  return { wire, answer: () => withSampling(wire, readAnswer(wire, { model: "tiny", text: null, ...settings }), settings) };
}

const BANNED = { ban: { on: true, tokens: [{ id: 7, text: "·w7" }] }, logit_bias: { on: true, tokens: [{ id: 9, text: "·w9" }] }, top_k: { on: true, values: { count: 3 } } };
const STEPPED = { ...PLAIN, chain: chain(BANNED, ["ban", "logit_bias", ...ORDERS.transformers.filter((name) => !["ban", "logit_bias"].includes(name))]) };

test("temperature, top-p and min-p in their order are asked as ever", () => {
  assert.equal(asked(PLAIN), null);
  assert.equal(asked({ ...PLAIN, temperature: 0.5, topP: 0.9, minP: 0.1, chain: FIRST_CHAIN }), null);
  assert.deepEqual(samplingOf({ ...PLAIN, temperature: 0.5, topP: 0.9, chain: FIRST_CHAIN }), { temperature: 0.5, top_p: 0.9 });
  assert.equal(asked({ ...PLAIN, temperature: 0.5, chain: chain({}, ORDERS.llamaCpp) }), null, "one step has no order");
  assert.equal(asked({ ...PLAIN, chain: chain({ ban: { on: true } }) }), null, "a ban of nothing is no step");
  assert.equal(stepsWords(PLAIN), "");
});

test("what is on is asked in its order, and what changes nothing is not", () => {
  const extra = { top_k: { on: true }, xtc: { on: true } };
  assert.deepEqual(names({ ...PLAIN, temperature: 0.5, minP: 0.1, chain: chain(extra) }), ["temperature", "top_k", "min_p", "xtc"]);
  assert.deepEqual(names({ ...PLAIN, temperature: 0.5, minP: 0.1, chain: chain(extra, ORDERS.llamaCpp) }), ["top_k", "min_p", "xtc", "temperature"]);
  assert.deepEqual(names({ ...PLAIN, temperature: 0.5, topP: 0.8, chain: chain({}, ORDERS.llamaCpp) }), ["top_p", "temperature"]);
  assert.equal(stepsWords({ ...PLAIN, chain: chain(extra) }), "2 sampler steps");
});

test("steps are asked as the server reads them", () => {
  const tokens = [{ id: 3, text: "a" }, { id: 4, text: "b" }];
  const all = Object.fromEntries(Object.keys(PARAMETERS).map((name) => [name, { on: true, tokens }]));
  const { samplers } = samplingOf({ temperature: 0.5, topP: 0.9, minP: 0.1, chain: chain(all) }, 0.25);
  assert.deepEqual(Object.assign({}, ...samplers), {
    logit_bias: [{ token_id: 3, bias: 5 }, { token_id: 4, bias: 5 }],
    ban: [3, 4],
    repetition_penalty: { penalty: 1.1 },
    frequency_penalty: { penalty: 0.5 },
    presence_penalty: { penalty: 0.5 },
    temperature: 0.5,
    top_h: 0.5,
    top_k: 40,
    top_p: 0.9,
    min_p: 0.1,
    typical_p: 0.9,
    top_n_sigma: 1,
    epsilon: 0.001,
    eta: 0.001,
    xtc: { probability: 0.5, threshold: 0.1, coin: 0.25 },
  });
  const last = { repetition_penalty: { on: true, values: { penalty: 1.2, last: 64 } } };
  assert.deepEqual(samplingOf({ ...PLAIN, chain: chain(last) }).samplers, [{ repetition_penalty: { penalty: 1.2, last: 64 } }]);
});

test("bars have both places, and say at which step a token fell", () => {
  const { answer } = answered(STEPPED);
  const found = answer();
  const drawing = cut(found, redraw(found, 1, 5), 1, STEPPED);
  assert.deepEqual(drawing.rows.map(({ fell }) => fell), ["ban", null, null, null, "top-k"]);
  assert.deepEqual(drawing.rows.map(({ share }) => share), [0, 0.6, 0.3, 0.1, 0]);
  assert.deepEqual(drawing.rows.map(({ candidate }) => candidate.rank), [1, 4, 2, 3, 5], "the darts fall in this order");
  drawing.rows.forEach((row) => assert.equal(row.probability, row.candidate.probability));
  assert.deepEqual(drawing.kept, { count: 3, probability: 0.4, known: true });
  assert.equal(drawing.otherShare, 0);
  assert.equal(paleWords(drawing), "before all steps");
  assert.equal(leastOf(drawing, { ...STEPPED, minP: 0.5 }), 0);
  assert.deepEqual(stepsInWords(drawing, STEPPED).slice(-2), ["Top-k: 3\u00a0tokens, 80.0\u202f% left.", "What is left is scaled to 100\u202f%."].map((words) => words.replace("\u00a0", " ")));
});

test("an answer is for the steps it was asked with", () => {
  const found = answered(STEPPED).answer();
  assert.ok(answersSteps(found, STEPPED));
  assert.ok(!answersSteps(found, PLAIN));
  assert.ok(!answersSteps(found, { ...STEPPED, minP: 0.1 }));
  const plain = readAnswer(wireAnswer(VALUES, { topK: 5 }), { model: "tiny", text: null, ...PLAIN });
  assert.ok(answersSteps(plain, PLAIN));
  assert.ok(!answersSteps(plain, STEPPED));
});

test("an answer without what its steps did is none", () => {
  for (const spoil of [(/** @type {any} */ wire) => delete wire.sampling, (/** @type {any} */ wire) => wire.sampling.steps.pop(), (/** @type {any} */ wire) => (wire.candidates[0].sampled.probability = 2), (/** @type {any} */ wire) => (wire.candidates[0].sampled.fell_at = 3), (/** @type {any} */ wire) => delete wire.candidates[2].sampled]) {
    const { wire, answer } = answered(STEPPED);
    spoil(wire);
    assert.throws(answer, BadAnswer);
  }
});

test("a saved chain is read whole or not at all", () => {
  assert.deepEqual(readChain(JSON.parse(JSON.stringify(STEPPED.chain))), STEPPED.chain);
  const bad = [
    undefined,
    [],
    FIRST_CHAIN.slice(2),
    [...FIRST_CHAIN.slice(1), FIRST_CHAIN[1]],
    chain({ top_k: { on: 1 } }),
    [{ ...FIRST_CHAIN[0], tokens: null }, ...FIRST_CHAIN.slice(1)],
    [{ ...FIRST_CHAIN[0], name: "__proto__-" }, ...FIRST_CHAIN.slice(1)],
    [null, ...FIRST_CHAIN.slice(1)],
  ];
  for (const each of bad) assert.equal(readChain(each), undefined);
});

test("steps are named as people write them", () => {
  assert.deepEqual(["top_k", "typical_p", "logit_bias", "xtc", "top_n_sigma"].map(nameOf), ["top-k", "typical-p", "logit bias", "XTC", "top-n-σ"]);
});

test("every step has its place in each order, and parameters within their ranges", () => {
  for (const order of Object.values(ORDERS)) assert.deepEqual([...order].sort(), Object.keys(PARAMETERS).sort());
  for (const { least, most, first } of Object.values(PARAMETERS).flatMap((each) => Object.values(each))) assert.ok(least <= first && first <= most);
});

test("XTC's coin is another number of the same seed and place", () => {
  // numpy: Generator(Philox(key=7, counter=[5, 0, 1, 0])).random()
  assert.equal(uniform(7, 0, 5, 1n), 0.04882414814744307);
  assert.notEqual(uniform(7, 0, 5), uniform(7, 0, 5, 1n));
  const state = /** @type {any} */ ({ play: null, settings: PLAIN });
  assert.equal(coin(state), undefined);
});
