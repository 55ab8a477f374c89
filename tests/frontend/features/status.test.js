import assert from "node:assert/strict";
import test from "node:test";
import { initial } from "../../../frontend/core/state.js";
import { choose, lose, setModels } from "../../../frontend/features/models/model.js";
import { statusLine } from "../../../frontend/features/status/model.js";
import { readModels } from "../../../frontend/net/wire.js";
import { answer, begun, model, news } from "../helpers/reader.js";

const FACTS = { parameters: 5_475_584, device: "cpu", dtype: "float32", vocab_size: 4096, context_limit: 512 };
const bundled = { name: "bundled", state: "ready", is_default: false, facts: FACTS };
/** @param {string} state @param {object} [more] */
const smol = (state, more = {}) => ({ name: "org/Smol", state, is_default: true, ...more });
/** @param {number} at @param {any[]} models @param {import("../../../frontend/core/state.js").State} [state] */
const after = (at, models, state = initial()) => setModels(state, readModels({ models }), at);

test("before the server has told anything", () => {
  assert.equal(statusLine(initial()).words, "Connecting to the server…");
});

test("a download, with bytes, time left and who answers until then", () => {
  const begun = after(0, [smol("downloading", { bytes_done: 300e6, bytes_total: 724e6 }), bundled]);
  assert.equal(statusLine(begun).words, "Smol is downloading, 300 of 724 MB. Using the demo model until then.");
  const later = after(3000, [smol("downloading", { bytes_done: 312e6, bytes_total: 724e6 }), bundled], begun);
  const line = statusLine(later);
  assert.equal(line.words, "Smol is downloading, 312 of 724 MB, about 2 min left. Using the demo model until then.");
  assert.equal(line.tone, "busy");
  assert.ok(Math.abs(line.progress - 312 / 724) < 1e-9);
});

test("a download of unknown size", () => {
  assert.equal(statusLine(after(0, [smol("downloading"), bundled])).words, "Smol is downloading. Using the demo model until then.");
});

test("a failure: its reason, a way to try again, and who answers", () => {
  const line = statusLine(after(0, [smol("failed", { reason: "no network: connect and try again" }), bundled]));
  assert.equal(line.words, "Smol can’t be used. No network: connect and try again. Using the demo model.");
  assert.deepEqual(line.action, { verb: "load", model: "org/Smol", label: "Try again" });
});

test("loading, with nobody to answer meanwhile", () => {
  assert.equal(statusLine(after(0, [smol("loading")])).words, "Smol is loading into memory.");
  assert.equal(statusLine(after(0, [smol("queued")])).words, "Smol is waiting to load.");
});

test("nothing, while there is nothing to say", () => {
  assert.equal(statusLine(after(0, [{ ...bundled, is_default: true }])).words, "");
});

test("a lost server, in words, whatever else is known", () => {
  const line = statusLine(lose(after(0, [bundled]), "the inference server can’t be reached at localhost:50051"));
  assert.match(line.words, /^The inference server can’t be reached at localhost:50051\. Reconnecting/);
  assert.equal(line.tone, "bad");
});

test("no model at all", () => {
  assert.equal(statusLine(after(0, [])).words, "The server offers no models.");
});

test("how another model tokenized the text: alike, or into how many tokens", () => {
  const two = setModels(begun("Once upon a time"), news(model("tiny"), model("org/other")), 1);
  const asked = choose(two, "org/other");
  assert.equal(statusLine(asked).words, "other is re-tokenizing the text.");
  assert.equal(statusLine(answer(asked)).words, "other splits the text into the same 4 tokens as tiny.");
  assert.equal(statusLine(answer(asked, { split: /\s*\w{1,3}/g })).words, "other re-tokenized the text: 7 tokens, 4 tokens with tiny.");
  assert.equal(statusLine(answer(asked, { split: /Once u|pon| a| time/g })).words, "other re-tokenized the text: 4 tokens, 4 tokens with tiny.");
});
