import assert from "node:assert/strict";
import test from "node:test";
import * as format from "../../../frontend/core/format.js";

const THIN = "\u202f";

test("percentages: one decimal from 1 %, enough digits below, never a false 0 or 100", () => {
  for (const [probability, words] of [
    [0.612, "61.2"],
    [0.6125, "61.3"],
    [0.01, "1.0"],
    [0.00999, "1.0"],
    [0.0099, "0.99"],
    [0.0042, "0.42"],
    [0.00096, "0.096"],
    [0.000013, "0.0013"],
    [0.0000013, "1×10⁻⁴"],
    [0.00000004, "4×10⁻⁶"],
    [1e-30, "1×10⁻²⁸"],
    [0, "0"],
    [1, "100"],
    [0.999, "99.9"],
    [0.9996, "99.96"],
    [0.99996, "99.996"],
    [0.9999999, ">99.999"],
  ]) {
    assert.equal(format.percent(probability), `${words}${THIN}%`);
  }
});

test("no probability between 0 and 1 is printed as 0 or 100", () => {
  for (let exponent = 1; exponent < 300; exponent++) {
    for (const probability of [10 ** -exponent, 1 - 10 ** -exponent]) {
      if (probability <= 0 || probability >= 1) continue;
      const words = format.percent(probability);
      assert.ok(!/^0(\.0+)?\u202f%$/.test(words) && !/^100/.test(words), `${probability}: ${words}`);
      assert.ok(!words.includes("NaN"));
    }
  }
});

test("a logarithm as a percentage: the same words, and no 0 for what is too small to be a number", () => {
  for (const probability of [1, 0.612, 0.0042, 1e-9, 1e-250, 0]) assert.equal(format.percentOf(Math.log(probability)), format.percent(probability));
  for (const [power, words] of [[-299.2, "6×10⁻²⁹⁸"], [-300, "1×10⁻²⁹⁸"], [-1000.5, "3×10⁻⁹⁹⁹"], [-1000.001, "1×10⁻⁹⁹⁸"], [-1000.99, "1×10⁻⁹⁹⁹"]]) {
    assert.equal(format.percentOf(power * Math.LN10 - 1e-12), `${words}${THIN}%`);
  }
});

test("entropy in words", () => {
  assert.equal(format.bits(2e-5), "<0.01 bits");
  assert.equal(format.openness(2.1, false), "2.1 bits: about 4 equally likely choices");
  assert.equal(format.openness(0, true), "0.0 bits before top-p/min-p: certain");
  assert.equal(format.bits(2.14), "2.1 bits");
  assert.equal(format.bits(0.04), "0.04 bits");
  assert.equal(format.bits(0), "0.0 bits");
  assert.equal(format.bits(-1e-9), "0.0 bits");
  assert.equal(format.sureness(0), "certain");
  assert.equal(format.sureness(0.3), "nearly certain");
  assert.equal(format.sureness(2.1), "about 4 equally likely choices");
  assert.equal(format.sureness(0.7), "about 2 equally likely choices");
  assert.equal(format.sureness(Math.log2(12)), "about 12 equally likely choices");
  assert.equal(format.sureness(15), "about 33,000 equally likely choices");
});

test("downloads in bytes and time", () => {
  assert.equal(format.bytes(312e6, 724e6), "312 of 724 MB");
  assert.equal(format.bytes(1.2e9, 4.8e9), "1.2 of 4.8 GB");
  assert.equal(format.bytes(4e5, 0), "0.4 MB");
  assert.equal(format.timeLeft(118), "about 2 min left");
  assert.equal(format.timeLeft(31), "about 35 s left");
  assert.equal(format.timeLeft(2), "a few seconds left");
  assert.equal(format.timeLeft(2 * 3600), "about 2 h left");
  for (const nonsense of [Infinity, NaN, -1]) assert.equal(format.timeLeft(nonsense), "");
});

test("names", () => {
  assert.equal(format.shortName("HuggingFaceTB/SmolLM2-360M-Instruct"), "SmolLM2-360M-Instruct");
  assert.equal(format.shortName("/models/mine/"), "mine");
  assert.equal(format.shortName("bundled"), "Demo model");
  assert.equal(format.shortName("gpt2"), "gpt2");
  assert.equal(format.shortName("owner/base + /adapters/mine"), "base + mine");
  assert.equal(format.deviceName("cpu"), "CPU");
  assert.equal(format.deviceName("cuda:0"), "GPU");
  assert.equal(format.deviceName("cuda:1"), "GPU 1");
  assert.equal(format.parameters(361_821_120), "362 M parameters");
  assert.equal(format.parameters(5_475_584), "5.5 M parameters");
  assert.equal(format.parameters(1_710_000_000), "1.7 B parameters");
});

test("a message beside its field does not name it again", () => {
  assert.equal(format.beside("text: must be shorter", "text"), "Must be shorter");
  assert.equal(format.beside("the model is loading", null), "The model is loading");
});
