import assert from "node:assert/strict";
import test from "node:test";
import { FIRST_DISPLAY, figure, lengthOf, readDisplay, setDisplay, ticks } from "../../../frontend/core/display.js";
import * as format from "../../../frontend/core/format.js";
import { initial } from "../../../frontend/core/state.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";

test("on the logarithmic scale each tenfold is a sixth of the track", () => {
  for (const [share, length] of [[1, 1], [0.1, 5 / 6], [1e-3, 0.5], [1e-6, 0], [1e-9, 0], [0, 0]]) {
    assert.ok(Math.abs(lengthOf(share, "log") - length) < 1e-12, `${share}`);
    assert.equal(lengthOf(share, "linear"), share);
  }
  assert.deepEqual(ticks().map((tick) => tick.words), ["0.0001\u202f%", "0.001\u202f%", "0.01\u202f%", "0.1\u202f%", "1\u202f%", "10\u202f%", "100\u202f%"]);
  for (const { at, words } of ticks()) assert.ok(Math.abs(lengthOf(parseFloat(words) / 100, "log") - at) < 1e-9, words);
});

test("the number beside a bar is the one chosen", () => {
  const row = { share: 0.5, candidate: { logit: -1.25 } };
  assert.equal(figure(row, "percent"), "50.0\u202f%");
  assert.equal(figure(row, "logprob"), "−0.69");
  assert.equal(figure(row, "logit"), "−1.25");
  assert.equal(figure({ share: 0, candidate: { logit: 3 } }, "logprob"), "−∞");
  assert.equal(figure({ share: 0.2 }, "logit"), "", "many tokens together have no logit");
});

test("signs are as wide as digits, and nothing is minus zero", () => {
  assert.deepEqual([0.004, -0.004, -2, 31.006].map(format.signed), ["0.00", "0.00", "−2.00", "31.01"]);
  assert.deepEqual([0.123, -0.123, 0.0004, -0.00001, 1e-8, 0].map(format.points), ["+12.3", "−12.3", "+0.04", "≈0", "±0", "±0"]);
});

test("a choice is kept over a reload; what is no choice is not believed", () => {
  const state = setDisplay(initial(), { column: "logit", scale: "log" });
  assert.deepEqual(unpack(pack(state)).display, { column: "logit", scale: "log" });
  for (const bad of [null, 7, "log", { column: "secret", scale: 1 }, { column: "__proto__" }]) assert.deepEqual(readDisplay(bad), FIRST_DISPLAY);
  assert.deepEqual(setDisplay(state, /** @type {any} */ ({ scale: "round" })).display, { column: "logit", scale: "linear" });
});
