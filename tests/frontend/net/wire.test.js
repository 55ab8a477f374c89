import assert from "node:assert/strict";
import test from "node:test";
import { fromBase64, toBase64 } from "../../../frontend/core/base64.js";
import { figure } from "../../../frontend/core/display.js";
import { redraw } from "../../../frontend/core/distribution.js";
import { groups } from "../../../frontend/core/tokens.js";
import { BadAnswer, readAnswer, readModels } from "../../../frontend/net/wire.js";
import { base64, logits, wireAnswer, wireToken } from "../helpers/answers.js";

const asked = { model: "tiny", text: null, temperature: 1, topK: 10 };
const good = () => wireAnswer(logits(31, 50, 2));

test("a good answer is read whole", () => {
  const answer = readAnswer(good(), asked);
  assert.equal(answer.candidates.length, 10);
  assert.equal(answer.partition.length, 33);
  assert.equal(answer.contextLimit, 512);
});

/** @type {[string, (json: any) => unknown, RegExp][]} */
const BAD = [
  ["no prompt", (json) => delete json.prompt, /prompt is missing/],
  ["no candidates", (json) => delete json.candidates, /candidates is not a list/],
  ["a candidate that is null", (json) => (json.candidates[1] = null), /candidates\[1\]/],
  ["no probability", (json) => delete json.candidates[3].probability, /candidates\[3\]\.probability is not a number/],
  ["a probability that is no number", (json) => (json.candidates[0].probability = NaN), /candidates\[0\]\.probability is not a number/],
  ["a probability as text", (json) => (json.candidates[0].probability = "0.5"), /candidates\[0\]\.probability/],
  ["a probability above 1", (json) => (json.candidates[0].probability = 1.5), /1\.5, not a probability/],
  ["a negative probability", (json) => (json.other_probability = -0.1), /other_probability/],
  ["an infinite logit", (json) => (json.candidates[0].logit = Infinity), /logit is not a number/],
  ["a logit that is none, of a token that could come", (json) => (json.candidates[0].logit = null), /candidates\[0\]\.logit is not a number/],
  ["a token twice", (json) => (json.candidates[3] = json.candidates[2]), /candidates\[3\]\.rank is 3/],
  ["candidates in another order", (json) => json.candidates.reverse(), /candidates\[0\]\.rank is 10/],
  ["an entropy beyond any vocabulary", (json) => (json.entropy_bits = 1e308), /entropy_bits is 1e\+308/],
  ["a negative entropy", (json) => (json.entropy_bits = -2), /entropy_bits is -2/],
  ["nothing kept", (json) => (json.kept.probability = 0), /kept\.probability is 0/],
  ["a partition in another order", (json) => json.partition.reverse(), /partition\[1\]\.inverse_temperature/],
  ["rank 0", (json) => (json.candidates[0].rank = 0), /rank is 0/],
  ["a negative id", (json) => (json.candidates[0].token_id = -1), /token_id is -1/],
  ["bytes that are not base64", (json) => (json.candidates[2].bytes = "§§"), /candidates\[2\]\.bytes is not base64/],
  ["no bytes", (json) => delete json.candidates[2].bytes, /candidates\[2\]\.bytes is not a text/],
  ["no vocabulary", (json) => (json.vocab_size = 0), /vocab_size is 0/],
  ["a broken partition", (json) => (json.partition[5].log_sum_exp = null), /partition\[5\]\.log_sum_exp/],
  ["a broken point at zero", (json) => (json.partition_at_zero.variance = -1), /partition_at_zero\.variance is -1/],
  ["another model", (json) => (json.model = "other"), /model is "other", not tiny/],
];
for (const [name, spoil, words] of BAD) {
  test(`refused by name: ${name}`, () => {
    const json = good();
    spoil(json);
    assert.throws(() => readAnswer(json, asked), (error) => error instanceof BadAnswer && words.test(error.message));
  });
}

test("a token that is ruled out has the logit −∞, and is drawn as such at any temperature", () => {
  const json = { ...wireAnswer([3, 2, -Infinity], { topK: 3 }), partition: wireAnswer([3, 2]).partition };
  const answer = readAnswer(JSON.parse(JSON.stringify(json)), { ...asked, topK: 3 });
  assert.equal(figure({ ...redraw(answer, 1, 3).rows[2], share: 0 }, "logit"), "−∞");
  for (const temperature of [0, 0.02, 0.05, 0.3, 2]) {
    const drawing = redraw(answer, temperature, 3);
    assert.equal(drawing.rows[2].probability, 0);
    assert.ok(Number.isFinite(drawing.entropyBits), `T ${temperature}`);
  }
});

test("what is no answer at all is refused, not crashed on", () => {
  for (const nonsense of [null, undefined, 7, "x", [], {}]) assert.throws(() => readAnswer(nonsense, asked), /missing|not|null|undefined/);
});

test("a text's answer must hold its tokens", () => {
  const json = wireAnswer(logits(32, 50, 2), { tokens: [wireToken(1, "a"), wireToken(2, "b")] });
  assert.equal(readAnswer(json, { ...asked, text: "ab" }).promptTokens.length, 2);
  json.prompt.tokens.pop();
  assert.throws(() => readAnswer(json, { ...asked, text: "ab" }), /prompt\.tokens is not whole/);
});

test("10,000 candidates: as many as were asked for are read", () => {
  const json = wireAnswer(logits(33, 10_000, 2), { topK: 10_000 });
  const answer = readAnswer(json, asked);
  assert.equal(answer.candidates.length, 10);
  assert.equal(redraw(answer, 1, 10).rows.length, 10);
});

test("hostile tokens stay tokens", () => {
  const json = good();
  const texts = ["<script>alert(1)</script>", "\u202egnp.exe", "x".repeat(5000), "\u0000", "\"'><img src=x onerror=alert(1)>"];
  texts.forEach((text, at) => (json.candidates[at].bytes = base64(text)));
  const { candidates } = readAnswer(json, asked);
  texts.forEach((text, at) => assert.equal(new TextDecoder().decode(candidates[at].token.bytes), text));
  assert.equal(groups(candidates.map((candidate) => candidate.token)).length, 10);
});

test("bytes survive base64 both ways", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
  assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
});

test("models are read with every state, and an unknown one is refused", () => {
  const facts = { parameters: 5, device: "cpu", dtype: "float32", vocab_size: 7, context_limit: 9 };
  const states = ["queued", "downloading", "loading", "ready", "failed"];
  const models = readModels({ models: states.map((state) => ({ name: state, state, is_default: false, facts: state === "ready" ? facts : null })) });
  assert.deepEqual(models.map((model) => model.state), states);
  assert.equal(models[3].facts.contextLimit, 9);
  assert.deepEqual([models[3].facts.endOfTextIds, models[3].facts.prefixTokenIds], [[], []], "a server that does not tell");
  assert.equal(readModels({ models: [{ name: "x", state: "failed", reason: "y".repeat(9000) }] })[0].reason.length, 500);
  assert.throws(() => readModels({ models: [{ name: "x", state: "confused" }] }), /models\[0\]\.state is "confused"/);
  assert.throws(() => readModels({}), /models is not a list/);
  assert.throws(() => readModels({ models: [{ state: "ready" }] }), /models\[0\]\.name/);
});
