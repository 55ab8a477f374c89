import assert from "node:assert/strict";
import test from "node:test";
import { pointAt, redraw } from "../../../frontend/core/distribution.js";
import { readAnswer } from "../../../frontend/net/wire.js";
import { entropy, logits, softmax, wireAnswer } from "../helpers/answers.js";

const asked = { model: "tiny", text: null, temperature: 1, topK: 10 };
const SHAPES = [
  { name: "flat", values: logits(1, 500, 0.01) },
  { name: "like a small model", values: logits(2, 4096, 2.2) },
  { name: "steep", values: logits(3, 2000, 6) },
  { name: "one far ahead", values: [30, ...logits(4, 1000, 1)] },
  { name: "two ahead, level", values: [18, 18, ...logits(5, 1000, 2)] },
  { name: "large logits", values: logits(6, 1000, 3).map((value) => value + 200) },
  { name: "far below zero", values: logits(7, 1000, 3).map((value) => value - 500) },
  { name: "a vocabulary of three", values: [1, 0, -1] },
];
// Off the grid on purpose, from the coldest to the warmest the grid covers.
const TEMPERATURES = [0.1, 0.103, 0.15, 0.21, 0.3, 0.45, 0.6, 0.77, 0.95, 1.05, 1.3, 1.7, 2, 2.6, 3.4, 4.2, 4.9, 5];

for (const { name, values } of SHAPES) {
  test(`redraws at any temperature what the whole softmax says: ${name}`, () => {
    const answer = readAnswer(wireAnswer(values), asked);
    for (const temperature of TEMPERATURES) {
      const drawing = redraw(answer, temperature, 10);
      assert.ok(drawing, `temperature ${temperature}`);
      const exact = softmax(values, temperature);
      let shown = 0;
      for (const row of drawing.rows) {
        const expected = exact[row.candidate.token.id];
        shown += expected;
        assert.ok(Math.abs(row.probability - expected) <= 1e-4, `T ${temperature}: ${row.probability}, not ${expected}`);
      }
      assert.ok(Math.abs(drawing.otherProbability - (1 - shown)) <= 1e-4, `T ${temperature}, the others`);
      assert.ok(Math.abs(drawing.entropyBits - entropy(exact)) <= 2e-3, `T ${temperature}: entropy ${drawing.entropyBits}, not ${entropy(exact)}`);
    }
  });
}

test("the raw value is the one at temperature 1, whatever was asked", () => {
  const values = logits(8, 300, 2);
  const answer = readAnswer(wireAnswer(values, { temperature: 0.5 }), { ...asked, temperature: 0.5 });
  const exact = softmax(values, 1);
  for (const row of redraw(answer, 2, 10).rows) assert.ok(Math.abs(row.raw - exact[row.candidate.token.id]) <= 1e-4);
});

test("at the temperature asked for, the server's own numbers are shown", () => {
  const json = wireAnswer(logits(9, 300, 2));
  json.candidates[0].probability = 0.123456;
  json.other_probability = 0.0625;
  json.entropy_bits = 3.25;
  const drawing = redraw(readAnswer(json, asked), 1, 10);
  assert.equal(drawing.rows[0].probability, 0.123456);
  assert.equal(drawing.otherProbability, 0.0625);
  assert.equal(drawing.entropyBits, 3.25);
});

test("warmer than the grid only the server can say", () => {
  const answer = readAnswer(wireAnswer(logits(10, 300, 2)), asked);
  for (const temperature of [5.01, 100]) assert.equal(redraw(answer, temperature, 10), null);
});

test("colder than the grid the candidates say it, as exactly as within; where the others may have more, only the server can", () => {
  let drawn = 0;
  for (const { name, values } of [...SHAPES, { name: "level", values: Array(300).fill(2) }]) {
    const answer = readAnswer(wireAnswer(values), asked);
    for (const temperature of [0.0999, 0.08, 0.05, 0.02, 0.001]) {
      const drawing = redraw(answer, temperature, 10);
      if (!drawing) continue;
      drawn += 1;
      const exact = softmax(values, temperature);
      for (const row of drawing.rows) {
        const expected = exact[row.candidate.token.id];
        assert.ok(Math.abs(row.probability - expected) <= 1e-4, `${name}, T ${temperature}: ${row.probability}, not ${expected}`);
      }
      assert.ok(Math.abs(drawing.entropyBits - entropy(exact)) <= 2e-3, `${name}, T ${temperature}: entropy ${drawing.entropyBits}`);
    }
  }
  assert.equal(drawn, 5 * (SHAPES.length - 1), "all but the flat and the level one");
});

test("without a partition only the temperature asked for and the greedy limit are drawn", () => {
  const json = wireAnswer(logits(11, 300, 2));
  delete json.partition;
  const answer = readAnswer(json, asked);
  assert.equal(redraw(answer, 0.9, 10), null);
  assert.equal(redraw(answer, 1, 10).rows.length, 10);
  assert.equal(redraw(answer, 0, 10).rows[0].probability, 1);
});

test("at 0 the highest logit takes all, and a tie shares it evenly", () => {
  const lone = redraw(readAnswer(wireAnswer([1, 5, 3]), asked), 0, 2);
  assert.deepEqual(lone.rows.map((row) => row.probability), [1, 0]);
  assert.equal(lone.entropyBits, 0);
  const tied = redraw(readAnswer(wireAnswer([5, 1, 5, 3]), asked), 0, 3);
  assert.deepEqual(tied.rows.map((row) => row.probability), [0.5, 0.5, 0]);
  assert.equal(tied.entropyBits, 1);
});

test("at 0 a tie that may go on beyond the candidates is left to the server", () => {
  assert.equal(redraw(readAnswer(wireAnswer([2, 2, 2, 2], { topK: 2 }), { ...asked, topK: 2 }), 0, 2), null);
});

test("fewer rows move the rest to the others", () => {
  const answer = readAnswer(wireAnswer(logits(12, 50, 2)), asked);
  const [three, ten] = [redraw(answer, 1, 3), redraw(answer, 1, 10)];
  assert.equal(three.rows.length, 3);
  assert.equal(three.otherCount, 47);
  const moved = ten.rows.slice(3).reduce((total, row) => total + row.probability, 0);
  assert.ok(Math.abs(three.otherProbability - ten.otherProbability - moved) < 1e-12);
});

test("with the whole vocabulary shown nothing is left for the others", () => {
  const drawing = redraw(readAnswer(wireAnswer([1, 0, -1]), asked), 0.7, 10);
  assert.equal(drawing.otherCount, 0);
  assert.equal(drawing.otherProbability, 0);
});

test("the curve meets its own points", () => {
  const { partition } = readAnswer(wireAnswer(logits(13, 300, 2)), asked);
  for (const point of partition) assert.equal(pointAt(partition, point.b), point);
});
