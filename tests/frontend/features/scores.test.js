import assert from "node:assert/strict";
import test from "node:test";
import { look } from "../../../frontend/core/lookback.js";
import { scene, wanted } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import { detail } from "../../../frontend/features/detail/model.js";
import { placeWords } from "../../../frontend/features/lookback/model.js";
import { lose } from "../../../frontend/features/models/model.js";
import * as scores from "../../../frontend/features/scores/model.js";
import { levelWords, totals, totalsWords } from "../../../frontend/features/scores/totals.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { readScores } from "../../../frontend/net/wire.js";
import { answer, begun, pick } from "../helpers/reader.js";

const told = (/** @type {states.State} */ state) => (wanted(state) ? answer(state) : state);
/** The server's part: a score for each token, the n-th with probability 1 / 2ⁿ; the first has nothing before it. */
const wireScores = (/** @type {scores.Asked} */ { model, tokenIds }) => ({
  model,
  tokens: tokenIds.map((id, at) => ({
    token_id: id,
    ...(at ? { rank: at, logprob: -at * Math.LN2, entropy_bits: at / 2, unconditioned: false } : { rank: null, logprob: null, entropy_bits: null, unconditioned: true }),
  })),
});
/** @param {states.State} state */
function scored(state) {
  const asked = scores.wantedScores(state);
  assert.ok(asked, "no scores were asked");
  return scores.receiveScores(state, asked, readScores(wireScores(asked), asked));
}
const shaded = (text = "One two three") => scores.shade(begun(text), { by: "surprise" });
const bits = (/** @type {states.State} */ state, by = "surprise") => scores.textNodes(state).map((node) => scores.bitsOf([node], /** @type {any} */ (by)));

test("scores are asked on request only, for the ids of the whole text, once", () => {
  assert.equal(scores.wantedScores(begun()), null);
  const state = shaded();
  const asked = scores.wantedScores(state);
  assert.deepEqual(asked.tokenIds, scores.textNodes(state).map((node) => node.token.id));
  const after = scored(state);
  assert.deepEqual(bits(after), [null, 1, 2]);
  assert.deepEqual(bits(after, "entropy"), [null, 0.5, 1]);
  assert.equal(scores.wantedScores(after), null);
  assert.equal(scores.wantedScores(look(after, scores.textNodes(after)[2].id)), null);
});

test("a picked token needs no asking: its probability and the entropy there are known", () => {
  const state = scored(shaded());
  for (const temperature of [1, 0.7]) {
    const warm = told(settings.set(state, { temperature }));
    const { candidate, raw } = scene(warm).drawing.rows[2];
    const after = told(pick(warm, 2));
    const [node] = scores.textNodes(after).slice(-1);
    assert.ok(Math.abs(Math.exp(node.score.logprob) - raw) < 1e-9);
    assert.equal(node.score.rank, candidate.rank);
    assert.equal(scores.wantedScores(after), null);
    const cold = scene(told(settings.set(state, { temperature: 1 })));
    assert.ok(Math.abs(node.score.entropy - cold.drawing.entropyBits) < 1e-4);
  }
});

test("typing on asks anew, and what is not affected keeps its scores meanwhile", () => {
  const state = scored(shaded("One two three"));
  const draft = states.edit(state, "One two four");
  assert.equal(scores.wantedScores(draft), null, "the text has no tokens yet");
  const after = answer(draft);
  assert.deepEqual(bits(after), [null, 1, null]);
  assert.equal(totals(scores.textNodes(after)), null);
  assert.deepEqual(bits(scored(after)), [null, 1, 2]);
});

test("scores that come late belong to their own text, never to another", () => {
  const state = shaded("One two three");
  const asked = scores.wantedScores(state);
  const other = answer(states.edit(state, "One four five"));
  const late = scores.receiveScores(other, asked, readScores(wireScores(asked), asked));
  assert.deepEqual(bits(late), [null, null, null]);
  assert.deepEqual(bits(states.undo(late)), [null, 1, 2]);
});

test("nothing is asked while a click waits for its bars, a control is held or the server is lost", () => {
  const state = shaded();
  assert.equal(scores.wantedScores(pick(state, 0)), null);
  assert.equal(scores.wantedScores(settings.set(state, { temperature: 0.5 }, true)), null);
  assert.equal(scores.wantedScores(lose(state, "gone")), null);
});

test("a refusal is kept beside the colours, is not asked again by itself, and goes with the next text", () => {
  const state = shaded();
  const { key } = scores.wantedScores(state);
  const failed = scores.failScores(state, { key, message: "too long", code: "invalid_argument", field: "token_ids", again: false });
  assert.equal(scores.wantedScores(failed), null);
  assert.equal(scores.wantedScores(scores.retryScores(failed)).key, key);
  assert.notEqual(scores.wantedScores(answer(states.edit(failed, "Two"))).key, key);
  assert.match(detail(failed, scores.textNodes(failed)[1]).flat().join(" "), /too long/);
});

test("a first token is scored where the tokenizer puts something in front, and only there", () => {
  for (const [front, conditioned] of /** @type {const} */ ([[[], false], [[1], true]])) {
    let state = scores.shade(begun(" w5 w6 w7", { prefix_token_ids: [...front] }), { by: "surprise" });
    const [first] = scores.textNodes(state);
    state = answer(look(state, first.id));
    assert.equal(state.current, first.parent, "the place before any token");
    const looking = placeWords(state);
    assert.equal(/^Token 1 of 3 is .+\. It is the first token: these are the bars of an empty text\.$/.test(looking), !conditioned, looking);
    assert.equal(/^Token 1 of 3 is .+: .+%, rank \d+\.$/.test(looking), conditioned, looking);
    state = told(pick(state, 3));
    const [picked] = scores.textNodes(state);
    const { logprob, rank, entropy } = picked.score;
    if (conditioned) assert.deepEqual([rank, Math.exp(logprob).toFixed(9), entropy > 0], [4, picked.probability.toFixed(9), true]);
    else assert.deepEqual([logprob, rank, entropy], [null, null, null]);
    assert.equal(bits(state)[0] === null, !conditioned);
    assert.equal(scores.wantedScores(state), null, "nothing is left to ask");
    assert.match(Object.fromEntries(detail(state, picked)).probability, conditioned ? /%$/ : /^none: first token$/);
  }
});

test("levels go by the steps of the legend", () => {
  assert.deepEqual([0, 0.99, 1, 2.9, 3, 9.9, 10, Infinity].map((each) => scores.level(each, "surprise")), [0, 0, 1, 1, 2, 3, 4, 4]);
  assert.deepEqual([0.4, 0.5, 6].map((each) => scores.level(each, "entropy")), [0, 1, 4]);
  assert.equal(scores.level(null, "surprise"), null);
  assert.deepEqual(levelWords("surprise"), ["under 1", "1–3", "3–6", "6–10", "10+ bits"]);
});

test("tokens read together have the surprise of both and the larger entropy", () => {
  const nodes = scores.textNodes(scored(shaded("One two three"))).slice(1);
  assert.equal(scores.bitsOf(nodes, "surprise"), 3);
  assert.equal(scores.bitsOf(nodes, "entropy"), 1);
});

test("the totals are sums over the tokens that something stands before", () => {
  const state = scored(shaded("One two three four"));
  const { count, logprob, perplexity, bitsPerByte } = totals(scores.textNodes(state));
  assert.equal(count, 3);
  assert.ok(Math.abs(logprob + 6 * Math.LN2) < 1e-12);
  assert.ok(Math.abs(perplexity - 4) < 1e-12);
  assert.ok(Math.abs(bitsPerByte - 6 / " two three four".length) < 1e-12);
  assert.equal(
    totalsWords({ count, logprob, perplexity, bitsPerByte }),
    "3 tokens: log-probability −4.16; perplexity 4.0, as uncertain as choosing among 4.0 equally likely tokens; 0.40 bits per byte.",
  );
  assert.match(totalsWords({ count: 2, logprob: -Infinity, perplexity: Infinity, bitsPerByte: Infinity }), /impossible.*−∞/);
  assert.match(totalsWords({ count: 0, logprob: 0, perplexity: 1, bitsPerByte: 0 }), /nothing before it/);
});

test("what is known of a token is told, and what is asked is said to be", () => {
  const fresh = scores.inspect(begun("One two"), true);
  const words = (/** @type {states.State} */ state, at = 1) => Object.fromEntries(detail(state, scores.textNodes(state)[at]));
  assert.equal(words(fresh).probability, "loading…");
  assert.equal(words(fresh).bytes, "20 74 77 6F");
  const after = scored(fresh);
  assert.deepEqual(
    { probability: words(after).probability, rank: words(after).rank, surprise: words(after).surprise, "entropy here": words(after)["entropy here"] },
    { probability: "50.0\u202f%", rank: "1", surprise: "1.0 bits", "entropy here": "0.5 bits" },
  );
  assert.match(words(after, 0).probability, /first token/);
  assert.equal(scores.wantedScores(scores.inspect(begun("One two"), false)), null);
});

test("a reload keeps scores, impossible ones too, and how the text is coloured", () => {
  const state = shaded();
  const asked = scores.wantedScores(state);
  const json = wireScores(asked);
  json.tokens[2].logprob = null;
  const after = scores.receiveScores(state, asked, readScores(json, asked));
  assert.deepEqual(bits(after), [null, 1, Infinity]);
  const again = unpack(pack(after));
  assert.equal(again.shading.by, "surprise");
  assert.deepEqual(bits(again).slice(1), [1, Infinity]);
  const record = JSON.parse(pack(after));
  record.shade = "<script>";
  record.nodes[2].score = { rank: "1" };
  assert.deepEqual([unpack(JSON.stringify(record)).shading.by, bits(unpack(JSON.stringify(record)))[1]], ["none", null]);
});

test("scores that are none are refused by name", () => {
  const asked = scores.wantedScores(shaded());
  const good = wireScores(asked);
  const spoiled = (/** @type {object} */ more) => ({ ...good, tokens: good.tokens.map((token, at) => (at === 1 ? { ...token, ...more } : token)) });
  for (const [json, words] of [
    [null, /tokens is not a list/],
    [{ ...good, model: "other" }, /model is "other"/],
    [{ ...good, tokens: good.tokens.slice(1) }, /tokens holds 2, not 3/],
    [spoiled({ token_id: -5 }), /tokens\[1\]\.token_id is -5/],
    [spoiled({ rank: 0 }), /tokens\[1\]\.rank/],
    [spoiled({ logprob: "x" }), /tokens\[1\]\.logprob/],
    [spoiled({ entropy_bits: undefined }), /tokens\[1\]\.entropy_bits/],
  ]) {
    assert.throws(() => readScores(json, asked), /** @type {any} */ (words));
  }
});
