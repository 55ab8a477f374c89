import assert from "node:assert/strict";
import test from "node:test";
import * as settings from "../../../frontend/core/settings.js";
import * as frame from "../../../frontend/core/frame.js";
import { MOST_TYPED } from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import * as likely from "../../../frontend/features/likely/model.js";
import { readAnswer } from "../../../frontend/net/wire.js";
import { softmax, wireAnswer, wireToken } from "../helpers/answers.js";
import { VALUES, answer, begun, pick } from "../helpers/reader.js";

const PIECES = ["\n", ".", " a", " b", "a", "b", " ", "<e>"];

/** The tokenizer's part: the longest piece first, as greedy as it comes. @param {string} text */
function cutUp(text, pieces = PIECES) {
  const tokens = [wireToken(39, "<s>", true)];
  for (let rest = text; rest; ) {
    const piece = pieces.filter((each) => rest.startsWith(each)).sort((a, b) => b.length - a.length)[0];
    assert.ok(piece, `no piece for ${JSON.stringify(rest)}`);
    tokens.push(wireToken(pieces.indexOf(piece), piece, piece === "<e>"));
    rest = rest.slice(piece.length);
  }
  return tokens;
}

/** The server's part, for all that is asked. @param {states.State} state */
function settle(state, { pieces = PIECES, values = (/** @type {readonly number[]} */ _) => VALUES } = {}) {
  /** @type {states.Question[]} */
  const asked = [];
  for (let question = likely.nextProbe(state); question; question = likely.nextProbe(state)) {
    asked.push(question);
    assert.ok(asked.length < 60, "it goes on and on");
    const tokens = question.whole ? cutUp(/** @type {string} */ (question.text), pieces) : undefined;
    const json = wireAnswer(values(question.tokenIds ?? []), { ...question.settings, watch: question.watch, tokens });
    state = likely.tell(state, question, readAnswer(json, { ...question, ...question.settings }));
  }
  return { state, asked };
}

/** @param {string} typed */
const asking = (typed) => likely.ask(frame.openTab(begun(), "numbers"), typed);

test("a text is looked up as typed and with a blank in front; a line break where one is meant", () => {
  assert.deepEqual(likely.variants("Paris"), ["Paris", " Paris"]);
  assert.deepEqual(likely.variants(" Paris"), [" Paris", "Paris"]);
  assert.deepEqual(likely.variants("\\n"), ["\n", "\\n"]);
  assert.deepEqual(likely.variants("a\\tb"), ["a\tb", "a\\tb"]);
  assert.deepEqual(likely.variants(" "), [" "]);
  assert.deepEqual(likely.variants(""), []);
});

test("one token gets its probability and true rank, however far out", () => {
  const { state, asked } = settle(asking("b"));
  const [plain, blank] = likely.chances(state);
  const exact = softmax(VALUES, 1);
  assert.deepEqual(plain.steps.map((step) => step.token.id), [5]);
  assert.deepEqual(blank.steps.map((step) => step.token.id), [3]);
  assert.ok(Math.abs(Math.exp(plain.logprob) - exact[5]) < 1e-12);
  assert.equal(plain.steps[0].rank, 1 + VALUES.filter((value) => value > VALUES[5]).length);
  const watching = asked.filter((question) => question.watch.length);
  assert.deepEqual(watching.map((question) => question.watch), [[5, 3]], "both in one call");
  assert.deepEqual(asked.filter((question) => question.whole).map((question) => question.text), ["\nb", "\n b"]);
});

test("several tokens follow one another, and their product is the text’s", () => {
  const values = (/** @type {readonly number[]} */ ids) => VALUES.map((value, id) => value + ((id * 7 + ids.length * 3) % 5));
  const { state, asked } = settle(asking(" a b"), { values });
  const [chance] = likely.chances(state);
  const here = asked.find((question) => question.watch.length).tokenIds;
  const exact = [softmax(values(here), 1)[2], softmax(values([...here, 2]), 1)[3]];
  assert.deepEqual(chance.steps.map((step) => step.token.id), [2, 3]);
  chance.steps.forEach((step, at) => assert.ok(Math.abs(step.probability - exact[at]) < 1e-12));
  assert.ok(Math.abs(Math.exp(chance.logprob) - exact[0] * exact[1]) < 1e-12);
});

test("another temperature needs no call as long as the answer can tell; else it is asked", () => {
  const { state } = settle(asking("b"));
  const warm = answer(settings.set(state, { temperature: 1.7 }));
  assert.equal(likely.nextProbe(warm), null);
  assert.ok(Math.abs(Math.exp(likely.chances(warm)[0].logprob) - softmax(VALUES, 1.7)[5]) < 1e-4);
  const dragging = settings.set(state, { temperature: 0.3 }, true);
  assert.ok(Math.abs(Math.exp(likely.chances(dragging)[0].logprob) - softmax(VALUES, 0.3)[5]) < 1e-4, "also while it is dragged");
  const hot = answer(settings.set(state, { temperature: 50 }));
  assert.equal(likely.chances(hot)[0].logprob, null);
  assert.equal(likely.nextProbe(hot)?.settings.temperature, 50);
  assert.ok(Math.abs(Math.exp(likely.chances(settle(hot).state)[0].logprob) - softmax(VALUES, 50)[5]) < 1e-9);
});

test("after another step the same text is looked up there, without being spelled again", () => {
  const { state } = settle(asking("b"));
  const next = answer(pick(state, 0));
  assert.equal(likely.chances(next)[0].logprob, null);
  const { state: there, asked } = settle(next);
  assert.equal(asked.length, 1);
  assert.ok(likely.chances(there)[0].logprob > -Infinity);
});

test("where a character to stand behind does not stay alone another one is tried; where none does, words say so", () => {
  const merging = [...PIECES.slice(0, 4), "\na", "b", " ", "<e>"];
  const { state, asked } = settle(asking("a"), { pieces: [...merging, "a"] });
  assert.deepEqual(asked.filter((question) => question.whole).map((question) => question.text), ["\na", ".a", "\n a"]);
  assert.equal(likely.chances(state)[0].steps.length, 1);
  const greedy = ["\na", ".a", "aa", "\n", ".", " a", "a"];
  const [chance] = likely.chances(settle(asking("a"), { pieces: greedy }).state);
  assert.match(chance.note, /can’t represent this text/);
  assert.equal(chance.steps, null);
});

test("a special token is looked up by its name", () => {
  const [chance] = likely.chances(settle(asking("<e>")).state);
  assert.deepEqual(chance.steps.map((step) => [step.token.id, step.token.special]), [[7, true]]);
  assert.equal(chance.note, "");
});

test("a text of too many tokens is not looked up, and says how many", () => {
  const { state, asked } = settle(asking("ab".repeat(60)));
  assert.match(likely.chances(state)[0].note, /120 tokens; at most 24/);
  assert.ok(asked.every((question) => question.whole), "nothing but spelling was asked");
});

test("nothing is asked while the part is folded, a control is held, the text is open, or the server is gone", () => {
  const state = asking("a");
  assert.ok(likely.nextProbe(state));
  assert.equal(likely.nextProbe(frame.setInspector(state, false)), null);
  assert.equal(likely.nextProbe(settings.set(state, { temperature: 0.4 }, true)), null);
  assert.equal(likely.nextProbe(states.edit(state, "Other")), null);
  assert.equal(likely.nextProbe({ ...state, lost: "gone" }), null);
  assert.equal(likely.nextProbe(likely.ask(state, "")), null);
});

test("what failed is not asked again by itself until something changes", () => {
  const state = asking("a");
  const question = likely.nextProbe(state);
  const failed = likely.failProbe(state, { key: question.key, message: "no", code: "x", field: null, again: false });
  assert.equal(likely.nextProbe(failed), null);
  assert.ok(likely.nextProbe(likely.ask(failed, "b")));
  assert.equal(likely.ask(failed, "b").probeTrouble, null);
});

test("an answer ends what was said of a failure before it", () => {
  const spelled = { ...settle(asking("a")).state, lookups: new Map() };
  const question = likely.nextProbe(spelled);
  const failed = likely.failProbe(spelled, { key: question.key, message: "no", code: "overloaded", field: null, again: true });
  const moved = settle(answer(pick(failed, 0)));
  assert.equal(moved.state.probeTrouble, null);
  assert.ok(settle(states.takeBack(moved.state)).asked.length, "it is asked where it failed");
});

test("typing is bounded, and half characters are none", () => {
  assert.equal(likely.ask(begun(), "x".repeat(5000)).likely.length, MOST_TYPED);
  assert.ok(likely.ask(begun(), "\ud83d").likely.isWellFormed());
});

test("a token under the cut is said to be out", () => {
  const { state } = settle(asking("b"));
  const cutting = answer(settings.set(state, { topP: 0.05 }));
  assert.ok(likely.chances(settle(cutting).state)[0].cut);
  assert.ok(!likely.chances(state)[0].cut);
});
