import assert from "node:assert/strict";
import test from "node:test";
import { chooseView } from "../../../frontend/core/frame.js";
import * as settings from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import * as compare from "../../../frontend/features/compare/model.js";
import { setModels } from "../../../frontend/features/models/model.js";
import { renderChat } from "../../../frontend/net/chat.js";
import { compare as compareThem, readComparison, scoreText } from "../../../frontend/net/compare.js";
import { BadAnswer } from "../../../frontend/net/wire.js";
import { wireToken } from "../helpers/answers.js";
import { answer, begun, factsOf, model, news, pick } from "../helpers/reader.js";

const TEXT = "It rained. Then the sun";
const open = (text = TEXT) => chooseView(begun(text), "compare");
const place = (/** @type {number} */ id, probability = 0.25) => ({ token_id: id, rank: 2, probability, logprob: Math.log(probability) });
/** The server's part. @param {compare.Question} asked @param {object} [more] */
const wire = ({ a, b }, more = {}) => ({
  a: { model: a.model, prompt: { tokens: [wireToken(1, "x")] } },
  b: { model: b.model, prompt: { tokens: [wireToken(7, "y"), wireToken(8, "z")] } },
  kl_a_b_bits: null,
  kl_b_a_bits: 0.5,
  js_bits: 0.25,
  total_variation: 0.125,
  candidates: [
    { ...wireToken(3, " w3"), a: place(3), b: place(3, 0.5) },
    { ...wireToken(900, " far"), a: place(900, 0.01), b: place(901) },
    { ...wireToken(5, " w5"), a: null, b: place(5) },
  ],
  gained: [{ ...wireToken(3, " w3"), a: place(3), b: place(3, 0.5) }],
  lost: [],
  overlap: [1, 2],
  unmatched: { a: 0, b: 0.25 },
  matched_by_bytes: true,
  ...more,
});
/** @param {states.State} state */
function compared(state) {
  const asked = compare.wanted(state);
  assert.ok(asked, "nothing was asked");
  return compare.receive(state, asked, readComparison(wire(asked), asked));
}

test("nothing is asked while both ask the same, elsewhere, or before the text has an answer", () => {
  assert.equal(compare.wanted(open()), null);
  const warm = compare.heatOther(open(), 0.5);
  assert.ok(compare.wanted(warm));
  assert.equal(compare.wanted(chooseView(warm, "bars")), null);
  assert.equal(compare.wanted(states.edit(warm, "Other")), null);
  assert.equal(compare.wanted(settings.set(warm, { temperature: 2 }, true)), null);
  assert.equal(compare.wanted(settings.set(warm, { temperature: 0.5 })), null);
});

test("another temperature is asked about the same ids, with A's filters on both", () => {
  const state = settings.set(compare.heatOther(open(), 0.5), { topP: 0.9 });
  const { a, b, topK } = /** @type {compare.Question} */ (compare.wanted(state));
  assert.deepEqual([a.temperature, b.temperature, a.topP, b.topP, topK], [1, 0.5, 0.9, 0.9, 10]);
  assert.deepEqual(a.tokenIds, b.tokenIds);
  assert.equal(compare.heatOther(state, 1000), state);
  assert.equal(compare.alike(compare.heatOther(state, null)), true);
});

test("an answer holds for its question alone, and a failed question is not asked again by itself", () => {
  const state = compared(compare.heatOther(open(), 0.5));
  assert.equal(compare.here(state)?.rows.length, 3);
  assert.equal(compare.wanted(state), null);
  const hotter = compare.heatOther(state, 2);
  assert.equal(compare.here(hotter), null);
  const asked = /** @type {compare.Question} */ (compare.wanted(hotter));
  const failed = compare.fail(hotter, { key: asked.key, message: "no", code: "x", field: null, again: false });
  assert.equal(compare.wanted(failed), null);
  assert.ok(compare.wanted(compare.retry(failed)));
});

test("a picked token joins both texts, whether it has a bar or not", () => {
  const state = compared(compare.heatOther(open(), 0.5));
  const [first, far, none] = /** @type {import("../../../frontend/core/slices_later.js").Compared} */ (compare.here(state)).rows;
  assert.equal(states.textHere(compare.pick(state, first)), `${TEXT} w3`);
  const picked = answer(compare.pick(state, far));
  assert.equal(states.textHere(picked), `${TEXT} far`);
  const { a, b } = /** @type {compare.Question} */ (compare.wanted(picked));
  assert.deepEqual([a.tokenIds?.at(-1), b.tokenIds?.at(-1)], [900, 900]);
  assert.equal(compare.pick(state, none), state);
});

test("B's own text is read once, and what is picked after it is appended by its id", () => {
  const state = compare.writeOther(open(), "Then the sun");
  const asked = /** @type {compare.Question} */ (compare.wanted(state));
  assert.deepEqual([asked.b.text, asked.b.tokenIds, asked.own], ["Then the sun", null, true]);
  const known = compared(state);
  assert.equal(compare.here(known)?.key, compare.question(known, true)?.key);
  assert.deepEqual(compare.question(known, true)?.b.tokenIds, [7, 8]);
  const after = answer(pick(known, 0));
  const { b, own } = /** @type {compare.Question} */ (compare.wanted(after));
  assert.deepEqual(b.tokenIds?.slice(0, 2), [7, 8]);
  assert.equal(b.tokenIds?.length, 3);
  assert.equal(own, false);
  assert.equal(compare.otherText(after), `Then the sun${states.textHere(after).slice(TEXT.length)}`);
  assert.equal(compare.otherText(states.undo(after)), "Then the sun");
});

test("a sentence is left out, if there are two", () => {
  assert.equal(compare.withoutSentence(TEXT), "Then the sun");
  assert.equal(compare.withoutSentence("“Oh!” she said. Yes"), "she said. Yes");
  assert.equal(compare.withoutSentence("雨が降った。晴れた"), "晴れた");
  for (const one of ["", "Once upon a time", "It rained. ", "Pi is 3"]) assert.equal(compare.withoutSentence(one), null);
});

test("another model reads the same text in its own way", () => {
  const both = setModels(open(), news(model("tiny", "ready", { is_default: true, facts: factsOf() }), model("huge", "ready", { facts: factsOf({ vocab_size: 4 }) })), 1);
  const state = compare.chooseOther(both, "huge");
  const { b, topK } = /** @type {compare.Question} */ (compare.wanted(state));
  assert.deepEqual([b.model, b.text, b.tokenIds, topK], ["huge", TEXT, null, 4]);
  assert.equal(compare.alike(compare.chooseOther(state, "tiny")), true);
});

test("swapping exchanges everything, and twice changes nothing", () => {
  const state = compare.writeOther(compare.heatOther(open(), 0.5), "Then the sun");
  const swapped = compare.swap(state);
  assert.equal(swapped.draft, "Then the sun");
  assert.equal(swapped.settings.temperature, 0.5);
  assert.deepEqual([compare.otherText(swapped), compare.otherTemperature(swapped)], [TEXT, 1]);
  const back = compare.swap(answer(swapped));
  assert.deepEqual([back.draft, back.settings.temperature, compare.otherText(back), compare.otherTemperature(back)], [TEXT, 1, "Then the sun", 0.5]);
});

test("the numbers are told in words; none is hidden", () => {
  const [moved, bits, same, unmatched] = compare.told(/** @type {any} */ (compare.here(compared(compare.heatOther(open(), 0.5)))));
  assert.match(moved, /^B differs from A by 12\.5 points: biggest gain “\u2068·w3\u2069” \(\+25\.0\)\.$/);
  assert.match(bits, /0\.3 bits; Kullback–Leibler A to B infinite, B to A 0\.5 bits/);
  assert.match(same, /^2 of the first 2 tokens/);
  assert.match(unmatched, /25\.0\u202f% of B/);
});

test("a text that lost special tokens on the way to B is said to be plain", () => {
  const asked = /** @type {compare.Question} */ (compare.wanted(compare.writeOther(open(), "user Hi")));
  const [mark, word] = [wireToken(8, "<|end|>", true), wireToken(7, "user Hi")];
  const told = (/** @type {object[]} */ a, /** @type {object[]} */ b) => compare.told(/** @type {any} */ (readComparison(wire(asked, { a: { model: asked.a.model, prompt: { tokens: a } }, b: { model: asked.b.model, prompt: { tokens: b } } }), asked)))[0];
  assert.equal(told([mark, word, mark, mark], [word]), "B is plain text, without 2 of A’s special tokens, such as “\u2068<|end|>\u2069”.");
  for (const b of [[word, mark, mark], [mark, word, mark, mark]]) assert.match(told([mark, word, mark, mark], b), /^B differs from A/);
  assert.equal(told([word, mark], [word]), "B is plain text, without A’s “\u2068<|end|>\u2069”.");
  assert.match(told([mark, word], [word]), /^B differs from A/, "what a text begins with may be the tokenizer's");
});

test("an answer that breaks the contract is refused", () => {
  const asked = /** @type {compare.Question} */ (compare.wanted(compare.heatOther(open(), 0.5)));
  for (const wrong of [{ js_bits: 2 }, { total_variation: "x" }, { candidates: [{}] }, { overlap: 5 }, { unmatched: {} }, { kl_b_a_bits: -1 }, { a: { model: "other" } }]) {
    assert.throws(() => readComparison(wire(asked, wrong), asked), BadAnswer);
  }
});

test("B's text is read as A's: names of special tokens are tokens or plain characters in both, told and offered", () => {
  const both = setModels(open(), news(model("tiny", "ready", { is_default: true, facts: factsOf() }), model("huge", "ready", { facts: factsOf() })), 1);
  const other = compare.chooseOther(both, "huge");
  assert.equal(compare.wanted(other)?.b.literal, false);
  const asked = /** @type {compare.Question} */ (compare.wanted(compare.writeOther(other, "a <|user|>")));
  const named = { b: { model: "huge", prompt: { tokens: [wireToken(7, "a "), wireToken(8, "<|user|>", true)] } } };
  const state = compare.receive(compare.writeOther(other, "a <|user|>"), asked, readComparison(wire(asked, named), asked));
  assert.deepEqual(compare.otherReading(state), { words: "“\u2068<|user|>\u2069” is a special token here, not text.", offer: "Read it as plain characters" });
  const plain = compare.readOther(state);
  assert.equal(plain.current, state.current, "A's text has no such name and stays");
  const again = /** @type {compare.Question} */ (compare.wanted(plain));
  assert.deepEqual([again.b.text, again.b.literal, again.a.literal], ["a <|user|>", true, undefined]);
  const read = compare.receive(plain, again, readComparison(wire(again), again));
  assert.equal(compare.otherReading(read)?.offer, "Read them as special tokens");
  assert.equal(compare.readOther(read).literal, false);
});

test("B's own text that was read one way is read anew once the reading changes", () => {
  const known = compared(compare.writeOther(open(), "Then the sun"));
  assert.deepEqual(compare.question(known, true)?.b.tokenIds, [7, 8]);
  const { b } = /** @type {compare.Question} */ (compare.wanted({ ...known, literal: true }));
  assert.deepEqual([b.text, b.tokenIds, b.literal], ["Then the sun", null, true]);
  assert.equal(compare.otherReading(compare.heatOther(open(), 0.5)), null);
});

test("the reading goes with the text, not with ids", async () => {
  /** @type {any[]} */
  const sent = [];
  const server = { fetch: globalThis.fetch, sessionStorage: globalThis.sessionStorage };
  Object.assign(globalThis, {
    sessionStorage: { getItem: () => null, setItem() {} },
    fetch: async (/** @type {string} */ path, /** @type {any} */ { body }) => {
      sent.push([path, JSON.parse(body)]);
      return { ok: true, json: async () => ({}) };
    },
  });
  try {
    const side = { model: "m", temperature: 1, topP: 1, minP: 0 };
    const [text, ids] = [{ ...side, text: "x", tokenIds: null, literal: true }, { ...side, text: null, tokenIds: [1], literal: true }];
    const { signal } = new AbortController();
    await Promise.allSettled([compareThem({ key: "", a: ids, b: text, topK: 1 }, signal), scoreText({ model: "m", text: "x", literal: true }, signal), renderChat({ key: "", model: "m", turns: [], open: true, literal: true }, signal), renderChat({ key: "", model: "m", turns: [], open: true, literal: false }, signal)]);
  } finally {
    Object.assign(globalThis, server);
  }
  const [[, both], [, scored], [, chat], [, plain]] = sent;
  assert.deepEqual([both.a.special, both.b.special, scored.special, chat.special, plain.special], [undefined, "text", "text", "text", undefined]);
});
