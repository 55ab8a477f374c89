import assert from "node:assert/strict";
import test from "node:test";
import { compose, inEditor } from "../../../frontend/core/editing.js";
import * as outcomes from "../../../frontend/core/outcomes.js";
import { edited, wanted } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import { textOf } from "../../../frontend/core/tokens.js";
import * as tree from "../../../frontend/core/tree.js";
import { noteWords } from "../../../frontend/features/prompt/model.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { readAnswer } from "../../../frontend/net/wire.js";
import { random, wireAnswer } from "../helpers/answers.js";
import { VALUES, answer, begun, pick } from "../helpers/reader.js";

const utf8 = new TextEncoder();
const WORDS = ["Hello", " world", " and", "\n", "user", "é", " €uro", "<|end|>", "<|role|>", "<s>"];
/** @param {number} id */
const token = (id) => ({ id, bytes: utf8.encode(WORDS[id]), special: id >= 7 });
const [HELLO, WORLD, AND, BREAK, USER, , EURO, END, ROLE, BOS] = WORDS.keys();

/** @param {number[]} ids @returns {[tree.Tree, number]} picked one by one */
function picked(ids) {
  const [all, root] = tree.rootFor(tree.EMPTY, "tiny");
  return tree.extendAll(all, root, ids.map(token));
}

/** @param {number[]} ids @param {string} text @param {number[]} [front] */
const composed = (ids, text, front = []) => compose(...picked(ids), text, front);

test("what stays before and behind an edit keeps its ids, and special tokens beside it stay", () => {
  assert.deepEqual(composed([HELLO, WORLD, END], "Hello world!").parts, [[HELLO, WORLD, END], "!"]);
  assert.deepEqual(composed([HELLO, WORLD, END, AND], "Hello there and").parts, [[HELLO], " there", [END, AND]]);
  assert.deepEqual(composed([HELLO, WORLD, AND], "Hello and").parts, [[HELLO, AND]]);
  assert.deepEqual(composed([HELLO, WORLD, AND], "Hello worlds and").parts, [[HELLO, WORLD], "s", [AND]]);
  assert.deepEqual(composed([HELLO, WORLD, AND], "Hello word and").parts, [[HELLO], " word", [AND]]);
  assert.deepEqual(composed([HELLO, WORLD, END], "Hello worl").parts, [[HELLO], " worl", [END]]);
});

test("where text is inserted, what the editor does not show stays before it at both ends, and behind it between", () => {
  assert.deepEqual(composed([ROLE, USER, BREAK, HELLO, END, BREAK], "user\nHello all\n").parts, [[ROLE, USER, BREAK, HELLO], " all", [END, BREAK]]);
  assert.deepEqual(composed([ROLE, USER], "a user").parts, [[ROLE], "a ", [USER]]);
  assert.deepEqual(composed([HELLO, END, ROLE], "Hello, ").parts, [[HELLO, END, ROLE], ", "]);
  assert.deepEqual(composed([END], "a").parts, [[END], "a"]);
});

test("only a special token inside a replaced text is lost, and it is named", () => {
  assert.deepEqual(composed([HELLO, END, WORLD], "").lost.map(({ id }) => id), [END]);
  assert.deepEqual(composed([HELLO, END, WORLD], "").parts, [""]);
  assert.deepEqual(composed([HELLO, END, WORLD], "Hello").lost, []);
  assert.deepEqual(composed([HELLO, END, WORLD, AND, ROLE], "Hey and").lost.map(({ id }) => id), [END]);
});

test("a text that is replaced as a whole is a new one: nothing of the old one stays, and it is named", () => {
  for (const text of ["Another", ""]) {
    const { parts, lost, runs } = composed([BOS, HELLO, WORLD, END], text, [BOS]);
    assert.deepEqual([parts, lost.map(({ id }) => id)], [[text], [END]]);
    assert.deepEqual(runs, [{ text, start: 0, end: undefined }]);
  }
  assert.deepEqual(composed([ROLE, HELLO, END], "Who").lost.map(({ id }) => id), [ROLE, END], "though both end in o");
  assert.deepEqual(composed([ROLE, HELLO, END], "Hallo").parts, [[ROLE], "Hallo", [END]], "mended, not replaced");
  assert.deepEqual(composed([ROLE, END], "Another").parts, [[ROLE, END], "Another"], "nothing was replaced");
});

test("the tokens in front are left to the tokenizer where they are its own", () => {
  assert.deepEqual(composed([BOS, HELLO, WORLD], "Hey world", [BOS]).parts, ["Hey", [WORLD]]);
  assert.deepEqual(composed([BOS, HELLO, WORLD], "Hey world", []).parts, [[BOS], "Hey", [WORLD]]);
  assert.deepEqual(composed([HELLO, WORLD], "Hey world", [BOS]).parts, [[], "Hey", [WORLD]]);
  assert.deepEqual(composed([HELLO, WORLD], "Hey world", []).parts, ["Hey", [WORLD]]);
});

test("a character in several tokens is kept or written anew as a whole", () => {
  const [first, second, third] = [...utf8.encode("€")].map((byte, at) => ({ id: 20 + at, bytes: Uint8Array.of(byte), special: false }));
  const [all, root] = tree.rootFor(tree.EMPTY, "tiny");
  const split = tree.extendAll(all, root, [token(HELLO), first, second, third, token(AND)]);
  assert.deepEqual(compose(...split, "Hello€! and", []).parts, [[HELLO, 20, 21, 22], "!", [AND]]);
  assert.deepEqual(compose(...split, "Hello¢ and", []).parts, [[HELLO], "¢", [AND]]);
  const half = tree.extendAll(all, root, [token(HELLO), first, second]);
  assert.deepEqual(compose(...half, "Hello you", []).parts, [[HELLO, 20, 21], " you"]);
  assert.deepEqual(compose(...half, "", []).lost.map(({ id }) => id), [20, 21]);
});

test("line breaks that an editor normalizes are no edit", () => {
  const returns = (/** @type {number} */ id, /** @type {string} */ text) => ({ id, bytes: utf8.encode(text), special: false });
  const [all, root] = tree.rootFor(tree.EMPTY, "tiny");
  const lines = tree.extendAll(all, root, [returns(30, "a\r"), returns(31, "\nb"), returns(32, "\r\n"), returns(33, "c")]);
  assert.equal(inEditor(tree.text(...lines)), "a\nb\nc");
  assert.deepEqual(compose(...lines, "a\nb\nc", []).parts, [[30, 31, 32, 33]]);
  assert.deepEqual(compose(...lines, "a\nb\ncd", []).parts, [[30, 31, 32, 33], "d"]);
  assert.deepEqual(compose(...lines, "a\nb\nd", []).parts, [[30, 31, 32], "d"]);
});

test("whatever is edited, the parts spell the edited text, and begin and end with the ids it left untouched", () => {
  const next = random(5);
  const below = (/** @type {number} */ most) => Math.floor(next() * most);
  for (let round = 0; round < 2000; round++) {
    const ids = Array.from({ length: 1 + below(8) }, () => below(WORDS.length));
    const text = textOf(ids.map(token));
    const [from, to] = [below(text.length + 1), below(text.length + 1)].sort((a, b) => a - b);
    const front = round % 2 ? [BOS] : [];
    const after = `${text.slice(0, from)}${["", "x", " and", "\n\n"][below(4)]}${text.slice(to)}`;
    const { parts, lost } = composed(ids, after, front);
    const spelled = parts.map((part) => (typeof part === "string" ? part : textOf(part.map(token)))).join("");
    assert.equal(spelled, after);
    const kept = parts.flatMap((part) => (typeof part === "string" ? [] : part));
    // The tokenizer puts its own in front of a text.
    const all = front.length && ids[0] === BOS && typeof parts[0] === "string" && after !== text ? [BOS, ...kept] : kept;
    const gone = ids.length - all.length;
    assert.ok(ids.some((_, at) => String(ids.toSpliced(at, gone)) === String(all)) || !gone, JSON.stringify([ids, after, parts]));
    const special = (/** @type {number[]} */ some) => some.filter((id) => id >= 7).sort();
    assert.deepEqual(special([...all, ...lost.map(({ id }) => id)]), special(ids), JSON.stringify([ids, after, parts]));
  }
});

/** The server's part, with a token for each word, or each letter of a word that follows others. @param {states.State} state */
function read(state) {
  const question = wanted(state);
  let id = 100;
  const spelled = (/** @type {string} */ text) => (text.match(/\s*\S+/g) ?? []).map((word) => ({ id: id++, text: word, special: false }));
  const parts = question.parts ?? [question.text ?? question.tokenIds];
  const known = new Map([...state.tree.nodes.values()].flatMap(({ token: own }) => (own ? [[own.id, own]] : [])));
  const tokens = parts.flatMap((part) => (typeof part === "string" ? spelled(part) : part.map((each) => ({ ...known.get(each), text: Buffer.from(known.get(each).bytes).toString() }))));
  const wire = tokens.map((each) => ({ token_id: each.id, text: each.text, bytes: Buffer.from(each.text).toString("base64"), is_special: each.special }));
  const json = wireAnswer(VALUES, { ...question.settings, draws: [], tokens: wire, model: question.model });
  return outcomes.receive(state, question, readAnswer(json, { ...question, draws: [], ...question.settings }));
}

const ids = (/** @type {states.State} */ state) => tree.tokenIds(state.tree, /** @type {number} */ (states.ending(state)));

test("typing on after picked tokens keeps them, and what is typed there grows as one text", () => {
  const start = answer(pick(answer(pick(begun(), 0)), 1));
  let state = states.edit(start, `${states.textHere(start)} and`);
  assert.deepEqual(wanted(state).parts, [ids(start), " and"]);
  state = read(state);
  assert.deepEqual(ids(state).slice(0, -1), ids(start));
  assert.equal(states.textHere(state), `${states.textHere(start)} and`);
  for (const rested of [state, states.rest(state), states.rest(unpack(pack(state)))]) {
    const models = { models: state.models, model: state.model };
    const longer = states.edit({ ...rested, ...models }, `${states.textHere(start)} andante`);
    assert.deepEqual(wanted(longer).parts, [ids(start), " andante"], "not “and” and “ante”");
  }
});

test("a typed text is still asked as text, however often it is taken up again", () => {
  const once = states.rest(begun("Once up"));
  assert.equal(wanted(states.edit(once, "Once upon")).text, "Once upon");
  const back = states.takeBack(begun("Once upon a"));
  assert.equal(wanted(states.edit(back, "Once uponto")).text, "Once uponto");
});

test("a text typed among picked tokens stays a text; tokens behind an edit keep what they are", () => {
  const start = answer(pick(begun(), 0));
  const typed = states.rest(read(states.edit(start, `${states.textHere(start)} middle`)));
  const more = answer(pick(typed, 2));
  const front = states.edit(more, states.textHere(more).replace("Once", "Twice"));
  const { parts, runs } = wanted(front);
  assert.deepEqual(parts, ["Twice upon a time", ids(more).slice(4)]);
  assert.equal(runs.length, 2);
  const moved = states.rest(read(front));
  assert.deepEqual(ids(moved).slice(4), ids(more).slice(4));
  const inside = states.edit(moved, states.textHere(moved).replace("middle", "mid"));
  assert.deepEqual(wanted(inside).parts, [ids(moved).slice(0, 5), " mid", ids(more).slice(-1)]);
});

test("a token picked where it was typed before is a picked one", () => {
  const start = answer(pick(begun(), 0));
  const text = states.textHere(start);
  const typed = states.rest(answer(states.edit(start, "Once upon a time")));
  const again = pick(typed, 0);
  assert.equal(states.textHere(again), text);
  assert.deepEqual(wanted(states.edit(again, `${text}s`)).parts, [ids(again), "s"]);
});

test("text put back as it was gives its tokens back", () => {
  const start = answer(pick(begun(), 0));
  const gone = read(states.edit(start, "new"));
  const back = states.edit(gone, states.textHere(start));
  assert.deepEqual([wanted(back).tokenIds, wanted(back).parts], [ids(start), null]);
});

test("a new text is a new text, even while an older one waits for its answer", () => {
  const start = answer(pick(begun(), 0));
  const fresh = { ...start, draft: "Another", base: null, session: null };
  assert.equal(edited(fresh), null);
  assert.equal(wanted(states.edit(fresh, "Another one")).text, "Another one");
});

test("the page names the special tokens that an edit removed, until the next step", () => {
  const [all, end] = picked([HELLO, WORLD, END, AND, ROLE]);
  const state = { ...begun(), tree: all, current: end, draft: null };
  assert.equal(noteWords(states.edit(state, "Hello world and so on")), "");
  const cut = states.edit(state, "Hello wand");
  assert.equal(noteWords(cut), "“\u2068<|end|>\u2069” was removed with the text around it. Undo brings it back.");
  assert.match(noteWords(states.rest(read(cut))), /^“\u2068<\|end\|>\u2069” was removed/);
  assert.equal(noteWords(states.undo(cut)), "");
  assert.match(noteWords(states.edit(cut, "Hello wan")), /was removed/, "while its answer is awaited");
  const after = states.edit(read(cut), "Hello wan");
  assert.equal(noteWords(after), "", "the next edit");
  assert.equal(noteWords(read(after)), "");
  assert.match(noteWords(states.edit(after, "")), /<\|role/, "what that one removes is said");
});

test("another model gets the text alone, and the page says what it does not get", () => {
  const [all, end] = picked([HELLO, END, AND]);
  const state = { ...begun(), tree: all, current: end, draft: "Hello and", base: end, model: "other" };
  assert.equal(edited(state), null);
  assert.equal(noteWords(state), "“\u2068<|end|>\u2069” was removed because other reads the text alone. Undo brings it back.");
});
