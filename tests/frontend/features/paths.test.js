import assert from "node:assert/strict";
import test from "node:test";
import * as format from "../../../frontend/core/format.js";
import { wanted } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import * as tree from "../../../frontend/core/tree.js";
import { fold, remove, rename, restore } from "../../../frontend/features/paths/model.js";
import { outline } from "../../../frontend/features/paths/outline.js";
import { MOST_BRANCHES, trim } from "../../../frontend/features/paths/trim.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { answer, begun, pick } from "../helpers/reader.js";

const told = (/** @type {states.State} */ state) => (wanted(state) ? answer(state) : state);
/** Picks bars one after the other. @param {states.State} state @param {...number} indexes */
const picks = (state, ...indexes) => indexes.reduce((now, index) => told(pick(told(now), index)), state);
const lines = (/** @type {states.State} */ state) => outline(state).map(({ depth, words }) => `${"-".repeat(depth)}${words}`);
/** A text with two branches, one of them forked. */
function forked() {
  const start = begun("One two");
  let state = picks(start, 0, 1);
  state = picks(states.goTo(state, start.current), 2, 3);
  return { start, state: picks(states.takeBack(state), 4) };
}

test("each stretch without a fork is one line, under the one it grew from", () => {
  const { state } = forked();
  const words = lines(state);
  assert.equal(words.length, 5);
  assert.match(words[0], /^One·two$/);
  assert.match(words[1], /^-·w\d+·w\d+$/);
  assert.match(words[2], /^-·w\d+$/);
  assert.match(words[3], /^--·w\d+$/);
  assert.deepEqual(outline(state).map((branch) => branch.here), [false, false, false, false, true]);
});

test("a branch's probability is the product of all tokens picked on its way, none for what was typed", () => {
  const { state } = forked();
  const [typed, , third, , last] = outline(state);
  assert.equal(typed.logprob, null);
  const way = tree.path(state.tree, last.end).map((node) => node.probability).filter((each) => each !== null);
  assert.equal(way.length, 2);
  assert.ok(Math.abs(Math.exp(third.logprob) - way[0]) < 1e-12);
  assert.ok(Math.abs(Math.exp(last.logprob) - way[0] * way[1]) < 1e-12);
  // A long way's probability is smaller than any number can be; it is not 0 for that.
  for (let each = 0; each < 400; each++) [state.tree, last.end] = tree.extend(state.tree, last.end, { id: 9000 + each, bytes: new Uint8Array([97]), special: false }, { probability: 0.1, rank: 1 });
  assert.match(format.percentOf(outline(state).at(-1).logprob), /^\d×10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]{3}\u202f%$/);
});

test("going to a branch's end makes it the text", () => {
  const { state } = forked();
  const second = outline(state)[1];
  assert.equal(states.goTo(state, second.end).current, second.end);
});

test("a deleted branch is gone with what follows, and comes back whole", () => {
  const { state } = forked();
  const [, other, third] = outline(state);
  const less = remove(state, third.start);
  assert.equal(lines(less).length, 2);
  assert.equal(less.current, tree.node(state.tree, third.start).parent, "the text falls back to where it forked");
  assert.ok(less.past.every((place) => typeof place !== "number" || less.tree.nodes.has(place)));
  assert.equal(remove(less, third.start), less, "a second click before the page is drawn");
  assert.equal(states.goTo(less, third.end), less);
  assert.equal(states.stand(less, third.end), less);
  const back = restore(less);
  assert.deepEqual(lines(back), lines(state));
  assert.equal(states.textHere(back), states.textHere(state));
  assert.deepEqual(outline(back).map((branch) => branch.logprob), outline(state).map((branch) => branch.logprob));
  assert.equal(restore(back), back);
  const elsewhere = remove(state, other.start);
  assert.equal(elsewhere.current, state.current, "a branch the text is not on leaves it alone");
});

test("a branch comes back beside what was tried since, without twins", () => {
  const { start, state } = forked();
  const first = outline(state)[1];
  let less = remove(state, first.start);
  less = picks(states.goTo(less, start.current), 0);
  assert.deepEqual(lines(restore(less)).sort(), lines(state).sort());
});

test("the branch that holds the whole text at hand can't be deleted", () => {
  const { state } = forked();
  assert.deepEqual(outline(state).map((branch) => branch.removable), [false, true, true, true, true]);
});

test("a branch has the name it is given, also when it grows or is forked, and loses it when that is emptied", () => {
  const { state } = forked();
  const names = (/** @type {states.State} */ now) => outline(now).map((branch) => branch.name);
  let named = rename(state, outline(state)[1].start, "  the calm one ");
  assert.deepEqual(names(named), [null, "the calm one", null, null, null]);
  named = picks(states.goTo(named, outline(named)[1].end), 0);
  assert.deepEqual(names(named), [null, "the calm one", null, null, null]);
  named = picks(states.takeBack(named), 1);
  assert.deepEqual(names(named), [null, "the calm one", null, null, null, null, null]);
  assert.deepEqual(names(unpack(pack(named))), names(named));
  assert.equal(names(rename(named, outline(named)[1].start, " "))[1], null);
  assert.equal(names(rename(named, outline(named)[1].start, "x".repeat(500)))[1].length, 60);
  assert.equal(rename(named, 12345, "gone"), named);
});

test("where a fork is deleted the two branches become one, with the name given last", () => {
  const { state } = forked();
  const [, , third, , last] = outline(state);
  let named = rename(rename(state, third.start, "first"), last.start, "last");
  named = remove(named, outline(named)[3].start);
  assert.deepEqual(outline(named).map((branch) => branch.name), [null, null, "last"]);
  named = rename(named, outline(named)[2].start, "both");
  assert.deepEqual(outline(named).map((branch) => branch.name), [null, null, "both"]);
});

test("a folded branch hides what grows from it, says how much, and is where the text is, if that is inside", () => {
  const { state } = forked();
  const folded = fold(state, outline(state)[0].start, true);
  const [line, ...rest] = outline(folded);
  assert.deepEqual([line.hidden, line.here, line.forked, rest.length], [4, true, true, 0]);
  assert.deepEqual(outline(unpack(pack(folded))), outline(folded));
  assert.deepEqual(outline(fold(folded, line.start, false)), outline(state));
  const inner = outline(fold(state, outline(state)[2].start, true));
  assert.deepEqual(inner.map((branch) => branch.hidden), [0, 0, 2]);
});

test("a mark that every text begins with is no branch of its own", () => {
  const first = begun("One two");
  const start = tree.path(first.tree, first.current)[0];
  const token = { ...start.token, special: true };
  let state = { ...first, tree: tree.change(first.tree, start.id, { token }) };
  assert.deepEqual(lines(state), ["·two"]);
  state = picks(states.goTo(state, start.id), 4);
  assert.deepEqual(lines(state).map((line) => line.replace(/\d+/, "")), ["·two", "·w"]);
  assert.deepEqual(outline(state).map((branch) => branch.removable), [true, false]);
});

test("several branches deleted come back one by one, the last first, also after a reload", () => {
  const { state } = forked();
  const [, , third, , last] = outline(state);
  let less = remove(remove(state, last.start), third.start);
  assert.equal(less.removed.length, 2);
  less = unpack(pack(less));
  assert.equal(less.removed.length, 2);
  const back = restore(restore(less));
  assert.deepEqual(lines(back), lines(state));
  assert.deepEqual(back.removed, []);
  assert.equal(new Set(back.tree.nodes.keys()).size, state.tree.nodes.size);
});

test("ids of what was deleted are not given to others", () => {
  const { state } = forked();
  const less = unpack(pack(remove(state, outline(state)[2].start)));
  const [, next] = tree.extend(less.tree, less.current, { id: 5, bytes: new Uint8Array(), special: false }, { probability: null, rank: null });
  assert.ok(!state.tree.nodes.has(next));
});

test("branches survive a reload", () => {
  const { state } = forked();
  assert.deepEqual(outline(unpack(pack(state))), outline(state));
});

test("no more branches are kept than fit: the oldest go, the text at hand stays", () => {
  const start = begun("One");
  let state = start;
  for (let first = 0; first < 10; first++) {
    state = picks(states.goTo(state, start.current), first);
    const fork = state.current;
    for (let second = 0; second < 10; second++) for (let third = 0; third < 3; third++) {
      state = trim(picks(states.goTo(state, fork), second, third));
    }
  }
  const leaves = [...state.tree.nodes.values()].filter((node) => !node.children.length);
  assert.ok(leaves.length <= MOST_BRANCHES + 1, `${leaves.length} branches`);
  assert.ok(state.tree.nodes.has(state.current));
  assert.ok(state.past.every((place) => typeof place !== "number" || state.tree.nodes.has(place)));
  let back = state;
  while (back.past.length) back = states.undo(back);
  assert.ok(tree.path(back.tree, back.current));
});

test("a long stretch is shortened in its middle, with its marks", () => {
  const state = begun(Array.from({ length: 4000 }, (_, at) => ` w${at}`).join(""));
  const [{ words }] = outline(state);
  assert.match(words, /^·w0·w1.* … .*·w3999$/);
  assert.ok(words.length < 70);
});
