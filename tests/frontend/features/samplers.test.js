import assert from "node:assert/strict";
import test from "node:test";
import { asked } from "../../../frontend/core/chain.js";
import { wanted } from "../../../frontend/core/questions.js";
import { initial } from "../../../frontend/core/state.js";
import * as samplers from "../../../frontend/features/samplers/model.js";
import { SAMPLERS } from "../../../frontend/features/samplers/words.js";
import { follow } from "../../../frontend/features/share/link.js";
import { linkOf } from "../../../frontend/features/share/making.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { begun } from "../helpers/reader.js";

const names = (/** @type {any} */ state) => samplers.chainOf(state).map(({ name }) => name);
const on = (/** @type {any} */ state) => samplers.chainOf(state).filter((step) => step.on).map(({ name }) => name);

test("a step is switched, set and moved; the others stay", () => {
  const first = initial();
  const switched = samplers.turn(first, "top_k", true);
  assert.deepEqual(on(switched), ["temperature", "top_k", "top_p", "min_p"]);
  const set = samplers.setStep(switched, "typical_p", "mass", 0.5);
  assert.ok(on(set).includes("typical_p"), "setting a step turns it on");
  assert.equal(samplers.setStep(set, "typical_p", "mass", 2), set);
  assert.equal(samplers.setStep(set, "top_k", "count", 1.5), set);
  assert.equal(samplers.setStep(set, "top_k", "count", NaN), set);
  const moved = samplers.move(set, "temperature", samplers.FIRST_CHAIN.length - 1);
  assert.equal(names(moved).at(-1), "temperature");
  assert.deepEqual(names(moved).slice(0, -1), names(set).filter((name) => name !== "temperature"));
  assert.deepEqual(asked(moved.settings)?.flatMap(Object.keys), ["top_k", "typical_p"]);
  assert.equal(samplers.move(set, "logit_bias", -1), set);
  assert.equal(samplers.move(set, "xtc", samplers.FIRST_CHAIN.length), set);
  assert.equal(samplers.turn(set, "temperature", false), set, "it has a control of its own");
});

test("orders have names; reset leaves temperature, top-p and min-p", () => {
  const state = samplers.setStep(initial(), "top_k", "count", 7);
  assert.equal(samplers.orderOf(state), "transformers");
  const other = samplers.reorder(state, "llamaCpp");
  assert.deepEqual(names(other), samplers.ORDERS.llamaCpp);
  assert.equal(samplers.orderOf(other), "llamaCpp");
  assert.equal(samplers.chainOf(other).find(({ name }) => name === "top_k")?.values.count, 7);
  assert.equal(samplers.orderOf(samplers.move(other, "top_k", 0)), null);
  assert.deepEqual(samplers.reset(other).settings, initial().settings);
});

test("tokens are added once and removed again", () => {
  const token = { id: 4, text: "·the" };
  const added = samplers.addToken(initial(), "ban", token);
  assert.deepEqual(asked(added.settings), [{ ban: [4] }]);
  assert.equal(samplers.addToken(added, "ban", token), added);
  assert.equal(asked(samplers.removeToken(added, "ban", 4).settings), null);
});

test("steps are asked about, saved, and travel with a link", () => {
  const state = samplers.setStep(begun(), "top_k", "count", 2);
  assert.deepEqual(wanted(state)?.settings.chain, state.settings.chain);
  assert.equal(samplers.lefts(state).size, 0, "nothing is known of steps that were not answered");
  assert.deepEqual(unpack(pack(state)).settings, state.settings);
  const link = /** @type {string} */ (linkOf(state));
  assert.deepEqual(follow(initial(), link).settings, state.settings);
  assert.deepEqual(follow(initial(), /** @type {string} */ (linkOf(begun()))).settings, begun().settings);
});

test("every step and every parameter has words", () => {
  for (const { name, values } of samplers.FIRST_CHAIN) {
    assert.ok(SAMPLERS.names[name] && SAMPLERS.hints[name]);
    for (const parameter of Object.keys(values)) assert.ok(parameter in SAMPLERS.parameters);
  }
});
