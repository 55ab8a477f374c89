import assert from "node:assert/strict";
import test from "node:test";
import { cut } from "../../../frontend/core/cuts.js";
import { redraw } from "../../../frontend/core/distribution.js";
import { steps } from "../../../frontend/features/steps/model.js";
import { readAnswer } from "../../../frontend/net/wire.js";
import { kept, logits, softmax, wireAnswer } from "../helpers/answers.js";

/** @param {number[]} values @param {object} settings @param {object} [asked] those of the answer, where they differ */
function drawn(values, settings, asked = {}, watch = /** @type {number[]} */ ([])) {
  const wanted = { temperature: 1, topK: 10, topP: 1, minP: 0, ...settings };
  const known = { temperature: 1, topK: 200, topP: 1, minP: 0, watch, ...asked };
  const answer = readAnswer(wireAnswer(values, known), { model: "tiny", text: null, ...known });
  return cut(answer, redraw(answer, wanted.temperature, wanted.topK, answer.watched), wanted.temperature, wanted);
}

const VALUES = logits(61, 3000, 2.4);
const SETTINGS = [
  { topP: 0.3 },
  { topP: 0.5 },
  { minP: 0.1 },
  { minP: 0.4 },
  { topP: 0.4, minP: 0.3 },
  { topP: 0.6, minP: 0.02, temperature: 0.5 },
  { topP: 0.9, temperature: 0.35 },
  { minP: 0.2, temperature: 1.4 },
];
for (const settings of SETTINGS) {
  test(`what remains is what the whole vocabulary says, by the drag and by the answer: ${JSON.stringify(settings)}`, () => {
    const { temperature = 1, topP = 1, minP = 0 } = settings;
    const shares = softmax(VALUES, temperature).sort((a, b) => b - a);
    const left = kept(shares, topP, minP);
    const dragged = drawn(VALUES, settings);
    const answered = drawn(VALUES, settings, settings);
    assert.equal(dragged.kept.known, true);
    for (const drawing of [dragged, answered]) {
      assert.equal(drawing.kept.count, left.count);
      assert.ok(Math.abs(drawing.kept.probability - left.probability) <= 1e-4);
      drawing.rows.forEach((row, at) => {
        assert.equal(row.fell === null, at < left.count);
        assert.ok(Math.abs(row.share - (at < left.count ? shares[at] / left.probability : 0)) <= 3e-4);
      });
      const sum = drawing.rows.reduce((total, row) => total + row.share, drawing.otherShare);
      assert.ok(Math.abs(sum - 1) <= 1e-4, `sums to ${sum}`);
    }
  });
}

test("a row that fell beside those at hand hides none of the others that stay", () => {
  const order = VALUES.map((_, id) => id).sort((a, b) => VALUES[b] - VALUES[a]);
  const shares = order.map((id) => softmax(VALUES, 1)[id]);
  const topP = shares.slice(0, 10).reduce((sum, each) => sum + each, shares[10] / 2); // the eleventh crosses the line
  const drawing = drawn(VALUES, { topP }, {}, [order[500]]);
  assert.deepEqual([drawing.rows.length, drawing.kept.count], [11, 11]);
  assert.ok(drawing.otherShare > 0);
  assert.ok(Math.abs(drawing.rows.reduce((sum, row) => sum + row.share, drawing.otherShare) - 1) <= 1e-4);
});

test("top-p keeps the token that crosses the line", () => {
  const values = [0.5, 0.3, 0.15, 0.05].map(Math.log);
  for (const [topP, count] of [[0.5, 1], [0.51, 2], [0.8, 2], [0.81, 3], [0.001, 1]]) {
    assert.equal(drawn(values, { topP }).kept.count, count, `top-p ${topP}`);
  }
});

test("min-p keeps what is exactly on the line, and always the first", () => {
  const values = [8, 4, 2, 1].map(Math.log);
  assert.equal(drawn(values, { minP: 0.26 }).kept.count, 2);
  assert.equal(drawn(values, { minP: 1 }).kept.count, 1);
  assert.equal(drawn([3, 3, 1], { minP: 1 }).kept.count, 2);
});

test("each token that fell says by what", () => {
  const values = [8, 4, 2, 1].map(Math.log);
  assert.deepEqual(drawn(values, { topP: 0.6 }).rows.map((row) => row.fell), [null, null, "top-p", "top-p"]);
  assert.deepEqual(drawn(values, { minP: 0.3 }).rows.map((row) => row.fell), [null, null, "min-p", "min-p"]);
  assert.deepEqual(drawn(values, { topP: 0.9, minP: 0.4 }).rows.map((row) => row.fell), [null, null, "min-p", "min-p"]);
});

test("a cut among the tokens not at hand is said to be at least that far, and near the truth", () => {
  const flat = logits(62, 3000, 0.2);
  const shares = softmax(flat, 1).sort((a, b) => b - a);
  const top = drawn(flat, { topP: 0.7 });
  assert.deepEqual([top.kept.known, top.kept.count], [false, 201]);
  assert.ok(Math.abs(top.kept.probability - kept(shares, 0.7, 0).probability) < 1e-3);
  assert.ok(top.rows.every((row) => row.fell === null));
  const min = drawn(flat, { minP: 0.1 });
  assert.equal(min.kept.known, false);
  assert.ok(min.kept.probability <= 1 && min.kept.probability > shares.slice(0, 200).reduce((sum, share) => sum + share));
  assert.equal(drawn(flat, { topP: 0.7 }, { topP: 0.7 }).kept.count, kept(shares, 0.7, 0).count);
});

test("at temperature 0 only the first remains, or those level with it", () => {
  assert.deepEqual(drawn([1, 5, 3], { temperature: 0, minP: 0.5, topK: 3 }).rows.map((row) => row.share), [1, 0, 0]);
  assert.equal(drawn([5, 5, 3], { temperature: 0, minP: 0.5 }).kept.count, 2);
});

test("without a cut nothing falls and every number stays", () => {
  const drawing = drawn(VALUES, {});
  assert.equal(drawing.cutting, false);
  for (const row of drawing.rows) assert.equal(row.share, row.probability);
});

test("the steps stand in their order, with these numbers", () => {
  const values = [8, 4, 2, 1, 1].map(Math.log);
  const settings = { temperature: 0.5, topK: 10, topP: 0.9, minP: 0 };
  const words = steps(drawn(values, settings), settings);
  assert.match(words[0], /each of 5 tokens.*“\u2068·w0\u2069” 2\.08, “\u2068·w1\u2069” 1\.39\.$/);
  assert.match(words[1], /temperature, 0\.5: “\u2068·w0\u2069” 4\.16, /);
  assert.match(words[2], /“\u2068·w0\u2069” 74\.4\u202f%, “\u2068·w1\u2069” 18\.6\u202f%\.$/);
  assert.match(words[3], /^Top-p 0\.9 keeps .*2 of 5 tokens kept, holding 93\.0\u202f% of the probability\.$/);
  assert.match(words[4], /divided by 93\.0\u202f%.*“\u2068·w0\u2069” 80\.0\u202f%, “\u2068·w1\u2069” 20\.0\u202f%\.$/);
  const plain = { ...settings, temperature: 1, topP: 1 };
  assert.match(steps(drawn(values, plain), plain).join(" "), /At 1 nothing changes.*remove nothing. All 5/);
});
