import assert from "node:assert/strict";
import test from "node:test";
import { chooseView } from "../../../frontend/core/frame.js";
import { look } from "../../../frontend/core/lookback.js";
import * as states from "../../../frontend/core/state.js";
import * as compare from "../../../frontend/features/compare/model.js";
import { pair, total } from "../../../frontend/features/compare/pairs.js";
import { kinOf, label, pressed, relatives } from "../../../frontend/features/compare/relatives.js";
import * as score from "../../../frontend/features/compare/score.js";
import { bits, pairWords, strength, told } from "../../../frontend/features/compare/scored_words.js";
import { setModels } from "../../../frontend/features/models/model.js";
import { readComparison, readScored } from "../../../frontend/net/compare.js";
import { BadAnswer } from "../../../frontend/net/wire.js";
import { wireToken } from "../helpers/answers.js";
import { answer, begun, factsOf, model, news, pick } from "../helpers/reader.js";

const TEXT = "It rained. Then the sun";
/** Tokens of a text and their log-probabilities; “<…>” is a special one. @param {...[string, number | null]} said */
const scored = (...said) => said.map(([text, logprob], node) => ({ token: { id: node, bytes: new TextEncoder().encode(text), special: /^<.*>$/.test(text) }, logprob, node }));
/** @param {import("../../../frontend/features/compare/pairs.js").Pair[]} pairs */
const spelled = (pairs) => pairs.map(({ a, b, bits: value, why }) => [[a, b].map((all) => all.map(({ token }) => new TextDecoder().decode(token.bytes)).join("|")).join(" = "), why ?? Number(value?.toFixed(9))]);
const LN2 = Math.LN2;

test("tokens of one tokenizer are compared one by one, in bits, with the sign of what B expects more", () => {
  const pairs = pair(scored(["<bos>", null], ["a", -LN2], [" b", -3 * LN2]), scored(["<bos>", null], ["a", -2 * LN2], [" b", -LN2]));
  assert.deepEqual(spelled(pairs), [["<bos> = <bos>", "first"], ["a = a", -1], [" b =  b", 2]]);
  const all = total(pairs);
  assert.deepEqual({ ...all, bits: bits(all.bits) }, { bits: "+1.0", count: 2, joined: false, left: { first: 1, special: 0, text: 0 } });
});

test("where tokenizers differ, the least that covers the same bytes is compared, and never half a character", () => {
  const pairs = pair(scored(["un", -1], ["like", -1], ["ly", -1], [" so", -4]), scored(["unlike", -1], ["ly", -2], [" ", -1], ["so", -1]));
  assert.deepEqual(spelled(pairs).map(([words]) => words), ["un|like = unlike", "ly = ly", " so =  |so"]);
  assert.ok(Math.abs(total(pairs).bits - 2 / LN2) < 1e-12);
  assert.equal(total(pairs).joined, true);
  const [first, second] = [Uint8Array.of(0xc3), Uint8Array.of(0xa9)];
  const halves = [first, second].map((bytes, node) => ({ token: { id: node, bytes, special: false }, logprob: -1, node }));
  assert.deepEqual(pair(halves, halves.map((each) => ({ ...each, logprob: -2 }))).map(({ a }) => a.length), [2]);
});

test("what only one side has, what nothing precedes and what B's tokenizer changes is not compared, and told", () => {
  const pairs = pair(scored(["The", null], [" end", -1], ["<eot>", -1], [" x", -1]), scored(["<bos>", -1], ["The", -1], [" end", -1], [" x", -3]));
  assert.deepEqual(spelled(pairs).map(([words, why]) => [words, typeof why === "string" ? why : null]), [[" = <bos>", "special"], ["The = The", "first"], [" end =  end", null], ["<eot> = ", "special"], [" x =  x", null]]);
  assert.equal(told(total(pairs)), "The text is 7.4 times less likely under B than under A: −2.9 bits. Not compared: 1 token with nothing before it, 2 tokens where only one model has a special token.");
  const inside = pair(scored(["a", -1], ["<x>", -1], ["b", -1]), scored(["ab", -1]));
  assert.deepEqual(spelled(inside), [["a|<x>|b = ab", "special"]]);
  const lower = pair(scored(["Oh", -1], [" Yes", -1], [" no", -1], [" x", -1]), scored(["Oh", -1], [" yes", -2], [" no", -2], [" x", -1]));
  assert.deepEqual(spelled(lower).map(([words, why]) => [words, typeof why === "string" ? why : null]), [["Oh = Oh", null], [" Yes =  yes", "text"], [" no =  no", null], [" x =  x", null]]);
  assert.deepEqual(pair([], []), []);
  assert.equal(told(total([])), "No token can be compared.");
});

test("differences have a sign and words; impossible, equal and astronomical ones too", () => {
  assert.deepEqual([1.24, -0.5, 0.01, 0, Infinity, -Infinity, -1234].map(bits), ["+1.2", "−0.5", "≈0", "±0", "+∞", "−∞", "−1,234"]);
  assert.deepEqual([0, 0.1, -0.7, 3, -Infinity].map(strength), [0, 1, 2, 3, 4]);
  const all = (/** @type {number} */ value) => told({ bits: value, count: 3, joined: false, left: { first: 0, special: 0, text: 0 } });
  assert.equal(all(0), "The text is equally likely under both models.");
  assert.equal(all(0.01), "The text is slightly more likely under B than under A: +0.01 bits.");
  assert.equal(all(-Infinity), "The text is impossible under B.");
  assert.equal(all(30), "The text is about 10⁹ times more likely under B than under A: +30.0 bits.");
  assert.equal(all(-5), "The text is 32 times less likely under B than under A: −5.0 bits.");
  const [one] = pair(scored(["a", Math.log(0.5)]), scored(["a", Math.log(0.125)]));
  assert.equal(pairWords(one, [{ spoken: "a" }]), "a: 2.0 bits less likely under B; A 50.0\u202f%, B 12.5\u202f%");
});

const names = ["tiny", "lab/X-1B", "lab/X-1B-Instruct", "lab/X-1B + me/pirate", "lab/X-1B + me/poet", "lab/X-1B-Instruct + me/pirate", "q/Y-Base", "q/Y", "g/z-2b-it", "g/z-2b-pt", "/m/X-1B-Chat.Q4.gguf", "/m/X-1B.Q4.gguf"];

test("relatives are told by name: adapters and their base, base and instruct", () => {
  const kin = (/** @type {string} */ mine) => names.flatMap((name) => (name !== mine && kinOf(mine, name) ? [`${name}: ${kinOf(mine, name)}`] : []));
  assert.deepEqual(kin("tiny"), []);
  assert.deepEqual(kin("lab/X-1B"), ["lab/X-1B-Instruct: instruct", "lab/X-1B + me/pirate: adapter", "lab/X-1B + me/poet: adapter"]);
  assert.deepEqual(kin("lab/X-1B + me/pirate"), ["lab/X-1B: base", "lab/X-1B + me/poet: adapter"]);
  assert.deepEqual([kin("q/Y"), kin("q/Y-Base"), kin("g/z-2b-it"), kin("/m/X-1B.Q4.gguf")], [["q/Y-Base: base"], ["q/Y: instruct"], ["g/z-2b-pt: base"], ["/m/X-1B-Chat.Q4.gguf: instruct"]]);
});

test("only models that can come are offered, short where that is clear; a press chooses one and a second A's again", () => {
  const state = setModels(begun(TEXT), news(model("tiny", "ready", { is_default: true, facts: factsOf() }), model("tiny + me/pirate"), model("tiny + me/poet", "failed"), model("a/tiny-chat", "loading"), model("b/tiny-it")), 1);
  const all = relatives(state);
  assert.deepEqual(all.map(({ name, kin }) => [name, kin]), [["a/tiny-chat", "instruct"], ["b/tiny-it", "instruct"], ["tiny + me/pirate", "adapter"]]);
  assert.deepEqual(all.map((each) => label(each, all).short), ["Instruct: tiny-chat", "Instruct: tiny-it", "+ pirate"]);
  assert.deepEqual(label({ name: "tiny", kin: "base" }, []), { short: "Base", long: "Base: tiny" });
  const chosen = compare.chooseOther(state, pressed(state, "b/tiny-it"));
  assert.equal(compare.otherModel(chosen), "b/tiny-it");
  assert.equal(compare.otherModel(compare.chooseOther(chosen, pressed(chosen, "b/tiny-it"))), "tiny");
});

const place = (/** @type {number} */ id) => ({ token_id: id, rank: 2, probability: 0.25, logprob: Math.log(0.25) });
/** The answer to what Compare asks. @param {states.State} state @param {boolean} [twins] the tokenizers have the same tokens */
function compared(state, twins = false) {
  const asked = /** @type {compare.Question} */ (compare.wanted(state));
  const side = (/** @type {string} */ name) => ({ model: name, prompt: { tokens: [wireToken(1, "x")] } });
  const none = { kl_a_b_bits: 0, kl_b_a_bits: 0, js_bits: 0, total_variation: 0, gained: [], lost: [], overlap: [1], unmatched: { a: 0, b: 0 }, matched_by_bytes: !twins };
  const json = { a: side(asked.a.model), b: side(asked.b.model), candidates: [{ ...wireToken(3, " w3"), a: place(3), b: place(3) }], ...none };
  return compare.receive(state, asked, readComparison(json, asked));
}
/** Compares with the model “huge”. @param {string} [text] */
function open(text = TEXT) {
  const both = setModels(chooseView(begun(text), "compare"), news(model("tiny", "ready", { is_default: true, facts: factsOf() }), model("huge", "ready", { facts: factsOf({ vocab_size: 1e9 }) })), 1);
  return compare.chooseOther(both, "huge");
}
/** @param {string} text @param {string} [name] of the model @returns {any} what the server says of it: a letter is a token */
const wireScores = (text, name = "huge") => ({ model: name, tokens: [...text].map((letter, at) => ({ ...wireToken(at, letter), unconditioned: !at, logprob: -1, rank: 1, entropy_bits: 1 })) });
/** @param {states.State} state with both scores */
function known(state) {
  const a = score.wanted(state);
  assert.ok(a?.side === "a");
  const half = score.receive(state, a, a.tokenIds.map((_, at) => (at ? { logprob: -2, rank: 1, entropy: 1 } : { logprob: null, rank: null, entropy: null })));
  const b = score.wanted(half);
  assert.ok(b?.side === "b");
  return score.receive(half, b, readScored(wireScores(b.text), "huge"));
}

test("nothing is scored elsewhere, for one model, for two texts, or before the next tokens are compared", () => {
  assert.equal(score.wanted(open()), null);
  const state = compared(open());
  assert.deepEqual(score.wanted(state)?.model, "tiny");
  assert.equal(score.comparable(chooseView(state, "bars")), false);
  assert.equal(score.wanted(chooseView(state, "bars")), null);
  assert.equal(score.comparable(compare.heatOther(compare.chooseOther(state, "tiny"), 0.5)), false);
  assert.equal(score.comparable(compare.writeOther(state, "Other words")), false);
  assert.equal(score.comparable(states.edit(state, "Other")), false);
  assert.equal(score.comparable(chooseView(setModels(begun(""), state.models ?? [], 1), "compare")), false);
});

test("the scores of both models belong to their text and model alone", () => {
  const state = known(compared(open()));
  const both = /** @type {{a: any[], b: any[]}} */ (score.scored(state));
  assert.deepEqual([both.a.length, both.b.length], [5, TEXT.length]);
  assert.equal(score.wanted(state), null);
  assert.equal(total(pair(both.a, both.b)).count, 4);
  const back = look(state, state.tree.nodes.get(/** @type {number} */ (state.current))?.id ?? 0);
  assert.notEqual(back.current, state.current);
  assert.ok(score.scored(back), "another place of the same text needs nothing new");
  const other = compare.chooseOther(setModels(state, [.../** @type {any} */ (state.models), { .../** @type {any} */ (state.models)[1], name: "third" }], 2), "third");
  assert.equal(score.scored(other), null);
  const longer = answer(pick(state, 0));
  assert.equal(score.scored(longer), null);
  assert.equal(score.wanted(compared(longer))?.side, "b", "a picked token has its score");
});

test("a model with the same tokens gets A's, special ones too, and is asked again if it read the text otherwise", () => {
  const first = compared(open(), true);
  assert.equal(compare.here(first), null, "its answer was about other tokens");
  const asked = /** @type {compare.Question} */ (compare.wanted(first));
  assert.deepEqual([asked.b.text, asked.b.tokenIds], [null, asked.a.tokenIds]);
  const state = compared(first, true);
  assert.ok(compare.here(state));
  const a = /** @type {score.AskedA} */ (score.wanted(state));
  const half = score.receive(state, a, a.tokenIds.map(() => ({ logprob: -2, rank: 1, entropy: 1 })));
  const b = /** @type {score.AskedB} */ (score.wanted(half));
  assert.deepEqual([b.side, b.tokenIds], ["b", a.tokenIds]);
  const both = /** @type {any} */ (score.scored(score.receive(half, b, a.tokenIds.map(() => ({ logprob: -1, rank: 1, entropy: 1 })))));
  assert.deepEqual(pair(both.a, both.b).map((each) => Number(each.bits?.toFixed(6))), a.tokenIds.map(() => Number((1 / LN2).toFixed(6))));
  const few = setModels(state, state.models?.map((each) => ({ ...each, facts: each.facts && { ...each.facts, vocabSize: 4 } })) ?? [], 2);
  assert.equal(compare.wanted(few)?.b.text, TEXT, "not with ids that it doesn't have");
  assert.equal(compare.wanted(compare.writeOther(state, "Other"))?.b.text, "Other");
});

test("a failed score is told, and asked again on request only", () => {
  const state = compared(open());
  const asked = /** @type {score.AskedA} */ (score.wanted(state));
  const failed = score.fail(state, { key: asked.key, message: "no", code: "x", field: null, again: false });
  assert.deepEqual([score.wanted(failed), score.trouble(failed)?.message, score.scored(failed)], [null, "no", null]);
  assert.ok(score.wanted(score.retry(failed)));
  assert.equal(score.trouble(compare.chooseOther(failed, "tiny")), null);
});

test("scores that break the contract are refused", () => {
  for (const wrong of [{ model: "other" }, { tokens: 5 }, { tokens: [{ ...wireToken(1, "x"), logprob: "x" }] }]) {
    assert.throws(() => readScored({ ...wireScores("ab"), ...wrong }, "huge"), BadAnswer);
  }
});
