import assert from "node:assert/strict";
import test from "node:test";
import * as outcomes from "../../../frontend/core/outcomes.js";
import { wanted } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import { countWords, doubled, literally, noteWords, readOther, specialWords, unread } from "../../../frontend/features/prompt/model.js";
import { readAnswer } from "../../../frontend/net/wire.js";
import { wireAnswer, wireToken } from "../helpers/answers.js";
import { VALUES, answer, begun, pick } from "../helpers/reader.js";

const MARKS = { 1: "<s>", 2: "[gMASK]", 3: "<|user|>" };

/** A text that the model has read as these tokens. @param {number[]} ids @param {number[]} front of every text */
function read(ids, front) {
  const typed = states.edit(begun("before", { prefix_token_ids: front }), "typed");
  const question = wanted(typed);
  const tokens = ids.map((id) => wireToken(id, MARKS[id] ?? ` w${id}`, id in MARKS));
  const json = wireAnswer(VALUES, { ...question.settings, draws: [], tokens, model: question.model });
  return outcomes.receive(typed, question, readAnswer(json, { model: question.model, text: question.text, ...question.settings }));
}

test("a beginning that stands twice is pointed out, with what to do", () => {
  const state = read([1, 1, 9], [1]);
  assert.equal(doubled(state).id, 1);
  assert.equal(noteWords(state), "“\u2068<s>\u2069” is at the beginning twice: the tokenizer already adds it in front of every text. Delete yours, or the numbers will be off.");
});

test("it is none where the tokenizer puts nothing there, where it stands once, further in, or is another mark", () => {
  const usual = [
    [[1, 1, 9], []],
    [[1, 9], [1]],
    [[1], [1]],
    [[9, 1, 1], [1]],
    [[1, 9, 1], [1]],
    [[1, 3, 9], [1]],
    [[9, 9], [1]],
    [[2, 1, 9], [2, 1]],
    [[2], [2, 1]],
  ];
  for (const [ids, front] of usual) assert.equal(noteWords(read(ids, front)), "", `${ids} after ${front}`);
});

test("of several tokens in front, each that stands there again counts", () => {
  assert.equal(doubled(read([2, 1, 2, 1, 9], [2, 1])).id, 2);
  assert.equal(doubled(read([2, 1, 1, 9], [2, 1])).id, 1);
});

test("it goes with its cause, and stays while the text goes on", () => {
  assert.match(noteWords(pick(read([1, 1, 9], [1]), 0)), /at the beginning twice/);
  const mended = answer(states.edit(read([1, 1, 9], [1]), "mended"));
  assert.equal(noteWords(mended), "");
});

test("the count is of the tokens that are there, also where their bars are not; an unread text has none", () => {
  const state = begun();
  assert.equal(countWords(state), "4 tokens of 512");
  assert.equal(countWords(pick(state, 0)), "5 tokens of 512");
  const typing = states.edit(state, "Something new");
  assert.deepEqual([countWords(typing), unread(typing)], [null, false], "its tokens are on their way");
  const trouble = { key: "", message: "9,001 tokens", code: "invalid_argument", field: "text", again: false };
  for (const stuck of [outcomes.fail(typing, trouble), { ...typing, lost: "offline" }]) {
    assert.deepEqual([countWords(stuck), unread(stuck)], ["not tokenized", true]);
  }
  assert.deepEqual([countWords({ ...pick(state, 0), lost: "offline" }), unread({ ...state, lost: "offline" })], ["5 tokens of 512", false]);
});

test("a special token that the text names is pointed out, and can be read as plain characters and back", () => {
  const named = states.rest(read([1, 3, 9], [1]));
  assert.equal(specialWords(named), null, "the text doesn't say its name");
  const typed = states.edit(begun("before"), "a <|user|>");
  const question = wanted(typed);
  assert.equal(question.literal, false);
  const json = wireAnswer(VALUES, { ...question.settings, draws: [], tokens: [wireToken(9, "a "), wireToken(3, "<|user|>", true)], model: question.model });
  const state = outcomes.receive(typed, question, readAnswer(json, { model: question.model, text: question.text, ...question.settings }));
  assert.deepEqual(specialWords(state), { words: "“\u2068<|user|>\u2069” is a special token here, not text.", offer: "Read it as plain characters" });
  const other = readOther(state);
  assert.deepEqual([wanted(other).text, wanted(other).literal, other.draft], ["a <|user|>", true, "a <|user|>"]);
  const plain = answer(other);
  assert.equal(specialWords(plain)?.offer, "Read them as special tokens");
  assert.equal(wanted(readOther(plain)).literal, false);
  assert.equal(specialWords(states.undo(plain))?.offer, "Read it as plain characters", "its tokens are those from before");
  assert.equal(readOther(states.undo(plain)).literal, true);
  assert.deepEqual([literally(plain), literally(states.undo(plain))], [true, false]);
  assert.equal(specialWords(pick(plain, 0)), null, "a token was picked: the text is not read anew");
});
