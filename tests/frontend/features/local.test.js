/** Steps computed on the page, held against the same steps over the whole vocabulary, written anew. */
import assert from "node:assert/strict";
import test from "node:test";
import { asked } from "../../../frontend/core/chain.js";
import { FIRST_SETTINGS } from "../../../frontend/core/settings.js";
import { simulate } from "../../../frontend/features/samplers/local.js";
import * as samplers from "../../../frontend/features/samplers/model.js";
import { readAnswer } from "../../../frontend/net/wire.js";
import { logits, random, softmax, wireAnswer } from "../helpers/answers.js";

const SIZE = 800;
const KNOWN = 150;
const sum = (/** @type {number[]} */ all) => all.reduce((total, each) => total + each, 0);

/** @typedef {{id: number, score: number}[]} All */
/** @param {All} all @returns {number[]} */
const shares = (all) => softmax(all.map(({ score }) => score), 1);
/** @param {All} all */
const entropy = (all) => -sum(shares(all).map((share) => (share > 0 ? share * Math.log(share) : 0)));
/** @param {All} all @param {(share: number, score: number) => boolean} test @returns {All} */
const filter = (all, test) => {
  const found = shares(all);
  return all.filter(({ score }, at) => test(found[at], score));
};
/** @param {All} all */
const best = (all) => Math.max(...all.map(({ score }) => score));
/** @param {All} all @param {(share: number) => number} key @param {number} mass @returns {All} */
const fewest = (all, key, mass) => {
  const found = shares(all);
  const order = all.map((_, at) => at).sort((a, b) => key(found[a]) - key(found[b]));
  let held = 0;
  const count = 1 + order.filter((at) => (held += found[at]) < mass).length;
  const stays = new Set(order.slice(0, count));
  return all.filter((_, at) => stays.has(at));
};

/** @type {Record<string, (all: All, value: any) => All>} */
const STEPS = {
  temperature: (all, t) => (t === 0 ? STEPS.min_p(all, 1) : all.map(({ id, score }) => ({ id, score: score / t }))),
  top_k: (all, k) => all.toSorted((a, b) => b.score - a.score).slice(0, k),
  top_p: (all, mass) => fewest(all, (share) => -share, mass),
  min_p: (all, least) => {
    const top = best(all);
    return all.filter(({ score }) => Math.exp(score - top) >= least);
  },
  typical_p: (all, mass) => {
    const mean = entropy(all);
    return fewest(all, (share) => Math.abs(-Math.log(share) - mean), mass);
  },
  epsilon: (all, least) => {
    const top = best(all);
    return filter(all, (share, score) => share >= least || score === top);
  },
  eta: (all, e) => STEPS.epsilon(all, Math.min(e, Math.sqrt(e) * Math.exp(-entropy(all)))),
  top_n_sigma: (all, n) => {
    const mean = sum(all.map(({ score }) => score)) / all.length;
    const sigma = Math.sqrt(sum(all.map(({ score }) => (score - mean) ** 2)) / all.length);
    const least = best(all) - n * sigma;
    return all.filter(({ score }) => score >= least);
  },
  top_h: (all, part) => {
    const top = all.toSorted((a, b) => b.score - a.score).slice(0, 100);
    let held = 0;
    const terms = shares(top).map((share) => -share * Math.log(share));
    const whole = sum(terms);
    return top.slice(0, Math.max(1, terms.filter((each) => (held += each) <= part * whole).length));
  },
  xtc: (all, { probability, threshold }) => {
    const above = filter(all, (share) => share >= threshold).sort((a, b) => a.score - b.score).slice(1).map(({ id }) => id);
    return probability && threshold <= 0.5 ? all.filter(({ id }) => !above.includes(id)) : all;
  },
  logit_bias: (all, biases) => all.map(({ id, score }) => ({ id, score: score + (biases.find((/** @type {any} */ each) => each.token_id === id)?.bias ?? 0) })),
  ban: (all, ids) => all.filter(({ id }) => !ids.includes(id)),
};

const VALUES = logits(7, SIZE, 2.5);
const ANSWER = readAnswer(wireAnswer(VALUES, { topK: KNOWN, model: "tiny", tokens: [] }), { model: "tiny", text: "", topK: KNOWN, temperature: 1 });
const IDS = ANSWER.candidates.map(({ token }) => token.id);

/** @param {[string, any][]} steps */
const settingsOf = (steps) => /** @type {any} */ ({ ...FIRST_SETTINGS, temperature: 1, chain: steps.map(([name, wire]) => ({ name, on: true, wire, values: {}, tokens: [] })) });

/** @param {[string, any][]} steps @param {any} [settings] @param {number[]} [values] the logits @param {typeof ANSWER} [answer] of them @returns {boolean} whether the page can say it; then it is right */
function compare(steps, settings = settingsOf(steps), values = VALUES, answer = ANSWER) {
  const drawing = simulate(answer, settings);
  if (!drawing) return false;
  let all = values.map((score, id) => ({ id, score })).filter(({ score }) => score > -Infinity);
  const exact = softmax(values, 1);
  for (const [at, [name, value]] of steps.entries()) {
    const before = new Map(shares(all).map((share, index) => [all[index].id, share]));
    const next = STEPS[name](all, value);
    const { count, probability } = /** @type {any} */ (drawing.sampling).left[at];
    assert.equal(count, next.length, `${name} ${JSON.stringify(value)}`);
    assert.ok(Math.abs(probability - (next.length === all.length ? 1 : sum(next.map(({ id }) => before.get(id) ?? 0)))) < 1e-4);
    all = next;
  }
  const found = new Map(shares(all).map((share, at) => [all[at].id, share]));
  assert.equal(drawing.kept.count, all.length);
  assert.ok(Math.abs(drawing.kept.probability - sum(all.map(({ id }) => exact[id]))) < 1e-4);
  for (const { candidate, share, fell } of drawing.rows) {
    assert.equal(fell === null, found.has(candidate.token.id));
    assert.ok(Math.abs(share - (found.get(candidate.token.id) ?? 0)) < 1e-4);
    assert.ok(answer.candidates.includes(candidate), "a click appends it");
  }
  return true;
}

test("steps of random amounts, alone and in a row, are those over the whole vocabulary, or are left to the server", () => {
  const next = random(5);
  const between = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * next();
  const some = () => IDS[Math.floor(next() * 12)];
  const amounts = /** @type {Record<string, () => any>} */ ({
    temperature: () => [0, 0.3, 0.8, 1.7, 3][Math.floor(next() * 5)],
    top_k: () => 1 + Math.floor(between(0, 180)),
    top_p: () => between(0.05, 1),
    min_p: () => between(0.001, 0.4),
    typical_p: () => between(0.05, 0.99),
    epsilon: () => 10 ** between(-4, -1),
    eta: () => 10 ** between(-4, -1),
    top_n_sigma: () => between(0.2, 3),
    top_h: () => between(0.05, 1),
    xtc: () => ({ probability: next() < 0.2 ? 0 : 0.5, threshold: between(0, 0.6) }),
    logit_bias: () => [{ token_id: some(), bias: between(-8, 8) }],
    ban: () => [some()],
  });
  const names = Object.keys(amounts);
  const known = new Map(names.map((name) => [name, 0]));
  for (let at = 0; at < 480; at++) {
    const chosen = at < 240 ? [names[at % names.length]] : names.toSorted(() => next() - 0.5).slice(0, 1 + Math.floor(next() * 5));
    const steps = chosen.map((name) => /** @type {[string, any]} */ ([name, amounts[name]()]));
    // Settings say these three; the rest has its place in the chain.
    const plain = new Map(steps);
    const settings = { ...settingsOf(steps), temperature: plain.get("temperature") ?? 1, topP: plain.get("top_p") ?? 1, minP: plain.get("min_p") ?? 0 };
    if (!asked(settings)) continue; // what the page computes without the list
    if (compare(steps, settings) && steps.length > 1) for (const name of chosen) known.set(name, (known.get(name) ?? 0) + 1);
  }
  for (const [name, count] of known) assert.ok(count > 10, `${name} is computed ${count} times`);
});

test("what only the server has is left to it", () => {
  for (const steps of /** @type {[string, any][][]} */ ([
    [["repetition_penalty", { penalty: 1.2 }]],
    [["mask", { regex: "a" }]],
    [["top_k", KNOWN + 1]],
    [["top_n_sigma", 9]],
    [["temperature", 50], ["top_k", 3]],
    [["ban", [VALUES.indexOf(Math.min(...VALUES))]]],
    [["epsilon", 1e-9]],
  ])) assert.equal(simulate(ANSWER, { ...settingsOf(steps), temperature: Number(new Map(steps).get("temperature") ?? 1) }), null, JSON.stringify(steps));
  const older = { ...ANSWER, atZero: null };
  assert.equal(simulate(older, settingsOf([["top_n_sigma", 1]])), null, "a server that doesn’t tell the deviation");
  assert.ok(compare([["top_k", 3], ["top_n_sigma", 1]], undefined, VALUES, older), "of what is left it is known");
  assert.equal(samplers.FIRST_CHAIN.length, 16);
});

test("top-n-sigma weighs all tokens that are in play, before and after steps that change or remove some", () => {
  const excluded = VALUES.map((value, id) => (id % 3 ? value : -Infinity)); // as padding rows of a vocabulary
  for (const values of [VALUES, excluded, VALUES.map((value) => value - 1e4)]) {
    const json = JSON.parse(JSON.stringify(wireAnswer(values, { topK: KNOWN, tokens: [] })));
    if (values === excluded) json.partition = wireAnswer(values.filter((value) => value > -Infinity)).partition;
    const answer = readAnswer(json, { model: "tiny", text: "", topK: KNOWN, temperature: 1 });
    const ids = answer.candidates.map(({ token }) => token.id);
    for (const [temperature, steps] of /** @type {[number, [string, any][]][]} */ ([
      [1, [["top_n_sigma", 1.1]]],
      [2.5, [["top_n_sigma", 1.3], ["temperature", 2.5]]],
      [2.5, [["temperature", 2.5], ["top_n_sigma", 1.3]]],
      [1, [["ban", ids.slice(0, 40)], ["top_n_sigma", 0.7]]],
      [1, [["logit_bias", ids.slice(0, 100).map((id) => ({ token_id: id, bias: 6 }))], ["top_n_sigma", 1]]],
      [0.7, [["xtc", { probability: 1, threshold: 0.03 }], ["temperature", 0.7], ["top_n_sigma", 0.8]]],
    ])) assert.ok(compare(steps, { ...settingsOf(steps), temperature }, values, answer), JSON.stringify(steps));
  }
});
