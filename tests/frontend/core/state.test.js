import assert from "node:assert/strict";
import test from "node:test";
import * as outcomes from "../../../frontend/core/outcomes.js";
import { scene, wanted } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import * as tree from "../../../frontend/core/tree.js";
import { rename } from "../../../frontend/features/paths/model.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { readAnswer } from "../../../frontend/net/wire.js";
import { logits, wireAnswer } from "../helpers/answers.js";
import { answer, begun, pick } from "../helpers/reader.js";

const textOf = states.textHere;

test("typing is asked as text; picks are asked as the ids so far and the one picked", () => {
  let state = begun("One two");
  const ids = tree.tokenIds(state.tree, state.current);
  assert.equal(ids.length, 2);
  state = pick(state, 3);
  const { text, tokenIds } = wanted(state);
  assert.equal(text, null);
  assert.deepEqual(tokenIds, [...ids, scene(state).drawing.rows[3].candidate.token.id]);
});

test("a pick joins the text before any answer, and the old bars stay, stale", () => {
  const state = pick(begun(), 0);
  assert.match(textOf(state), /^Once upon a time w\d+$/);
  assert.equal(scene(state).stale, true);
  assert.equal(scene(state).drawing.rows.length, 10);
  assert.equal(scene(answer(state)).stale, false);
});

test("a pick is kept with its rank and its probability at temperature 1", () => {
  let state = settings.set(begun(), { temperature: 0.5 });
  const { raw, candidate } = scene(state).drawing.rows[2];
  state = pick(state, 2);
  const node = tree.node(state.tree, state.current);
  assert.deepEqual([node.rank, node.probability], [3, raw]);
  assert.notEqual(raw, candidate.probability * 2);
});

test("a state is never changed, only followed by another", () => {
  const before = begun();
  const copy = structuredClone({ nodes: [...before.tree.nodes], past: before.past, current: before.current });
  answer(pick(before, 1));
  states.takeBack(before);
  assert.deepEqual({ nodes: [...before.tree.nodes], past: before.past, current: before.current }, copy);
});

test("undo and redo walk back and forth over picks, and answers kept are drawn without asking", () => {
  let state = begun();
  const texts = [textOf(state)];
  for (const index of [0, 4, 2]) {
    state = answer(pick(state, index));
    texts.push(textOf(state));
  }
  for (const text of texts.slice(0, 3).reverse()) {
    state = states.undo(state);
    assert.equal(textOf(state), text);
    assert.equal(wanted(state), null);
    assert.equal(scene(state).stale, false);
  }
  assert.equal(states.undo(state), state);
  for (const text of texts.slice(1)) {
    state = states.redo(state);
    assert.equal(textOf(state), text);
  }
  assert.equal(states.redo(state), state);
});

test("another pick after undo starts a branch, and the first one stays in the tree", () => {
  let state = answer(pick(begun(), 0));
  const first = state.current;
  state = answer(pick(states.undo(state), 1));
  assert.notEqual(state.current, first);
  assert.equal(tree.node(state.tree, state.current).parent, tree.node(state.tree, first).parent);
  assert.ok(state.tree.nodes.has(first));
  assert.deepEqual(state.future, []);
});

test("the same pick twice is one node", () => {
  const state = answer(pick(begun(), 0));
  const again = pick(states.undo(state), 0);
  assert.equal(again.current, state.current);
  assert.equal(again.tree.nodes.size, state.tree.nodes.size);
});

test("taking back leaves the token ahead, and is itself undone", () => {
  let state = answer(pick(answer(pick(begun("One two"), 0)), 1));
  const whole = textOf(state);
  state = states.takeBack(states.takeBack(states.takeBack(state)));
  assert.equal(textOf(state), "One");
  assert.equal(tree.onward(state.tree, state.current).length, 3);
  assert.equal(textOf(states.redo(state)), "One");
  state = states.undo(state);
  assert.equal(textOf(state), "One two");
  assert.equal(textOf(states.goTo(state, tree.onward(state.tree, state.current).at(-1).id)), whole);
});

test("taking back stops at the beginning", () => {
  let state = begun("One");
  for (let times = 0; times < 5; times++) state = states.takeBack(state);
  assert.equal(textOf(state), "");
});

test("a stretch of typing is one step for undo and leaves no half-typed branches", () => {
  let state = begun("One");
  const size = state.tree.nodes.size;
  for (const text of ["Two", "Two th", "Two three", "Two three four"]) state = answer(states.edit(state, text));
  assert.equal(state.tree.nodes.size, size + 3);
  state = states.undo(state);
  assert.equal(textOf(state), "One");
  assert.equal(textOf(states.redo(state)), "Two three four");
});

test("typing along a branch that was picked once, or has a name, deletes nothing of it", () => {
  let state = answer(pick(begun("One"), 0));
  const [picked, text] = [/** @type {number} */ (state.current), textOf(state)];
  state = answer(pick(states.undo(state), 1)); // nothing leads back to the first pick now but its branch
  state = answer(states.edit(state, text));
  assert.equal(state.current, picked);
  state = states.rest(answer(states.edit(state, `${text} and on`)));
  assert.ok(state.tree.nodes.has(picked));

  const typed = answer(states.edit(begun("One"), "Two"));
  const named = rename(typed, /** @type {number} */ (typed.current), "mine");
  assert.ok(answer(states.edit(named, "Three")).tree.nodes.has(/** @type {number} */ (typed.current)));
});

test("typing after a pick keeps the picked branch", () => {
  let state = answer(pick(begun("One"), 0));
  const picked = state.current;
  state = answer(states.edit(state, "Something else"));
  assert.ok(state.tree.nodes.has(picked));
  assert.equal(textOf(states.undo(state)), textOf({ ...state, current: picked }));
});

test("an unanswered text survives undo and comes back by redo", () => {
  let state = states.edit(begun("One"), "One two thr");
  state = states.undo(state);
  assert.deepEqual([textOf(state), state.draft], ["One", null]);
  assert.equal(states.redo(state).draft, "One two thr");
});

test("what was typed on after an answer survives undo and a jump, also where the editor was left before", () => {
  const first = begun("One");
  const typed = states.rest(states.edit(answer(states.edit(first, "Two")), "Two and a paragraph"));
  const undone = states.undo(typed);
  assert.deepEqual([textOf(undone), states.redo(undone).draft], ["Two", "Two and a paragraph"]);
  const away = states.goTo(typed, /** @type {number} */ (first.current));
  assert.equal(states.undo(away).draft, "Two and a paragraph");
  const rested = states.rest(answer(typed));
  assert.equal(textOf(states.undo(states.rest(answer(states.edit(rested, "Three"))))), "Two and a paragraph");
});

test("an unanswered text that was left for another branch comes back by undo, and what it stood on by another", () => {
  const first = begun("One");
  const here = answer(states.edit(states.rest(first), "Two"));
  let state = states.goTo(states.edit(states.rest(here), "Two and th"), first.current);
  state = states.undo(unpack(pack(state)));
  assert.equal(state.draft, "Two and th");
  assert.deepEqual([textOf(states.undo(state)), states.undo(state).draft], ["Two", null]);
  assert.equal(textOf(states.redo(states.redo(states.undo(state)))), "One");
});

test("picks on stale bars do nothing: they belong to another text", () => {
  const state = states.edit(begun("One"), "Two");
  assert.equal(states.append(state, scene(state).drawing.rows[0].candidate, 0.5), state);
});

test("a second pick of the same bars does nothing: they belong to the text before", () => {
  const state = begun();
  const { candidate, raw } = scene(state).drawing.rows[0];
  const picked = states.append(state, candidate, raw);
  assert.equal(states.append(picked, candidate, raw), picked);
});

test("an error keeps text and bars, is not asked again by itself, and goes when the question changes", () => {
  let state = states.edit(begun("One"), "Two");
  const question = wanted(state);
  state = outcomes.fail(state, { key: question.key, message: "too long", code: "invalid_argument", field: "text", again: false });
  assert.equal(wanted(state), null);
  assert.equal(state.draft, "Two");
  assert.equal(scene(state).drawing.rows.length, 10);
  assert.equal(wanted(outcomes.retry(state)).key, question.key);
  const changed = states.edit(state, "Tw");
  assert.equal(changed.trouble, null);
  assert.ok(wanted(changed));
});

test("dragging asks nothing; letting go asks once; the bars are exact meanwhile", () => {
  let state = settings.set(begun(), { temperature: 0.4 }, true);
  assert.equal(wanted(state), null);
  assert.equal(scene(state).stale, false);
  assert.ok(scene(state).drawing.rows[0].probability > scene(state).drawing.rows[0].raw);
  state = settings.release(state);
  assert.equal(wanted(state).settings.temperature, 0.4);
  assert.equal(wanted(answer(state)), null);
});

test("a temperature beyond the grid holds the last bars, stale, until the server says", () => {
  const state = settings.set(begun(), { temperature: 6 });
  assert.equal(scene(state).stale, true);
  assert.equal(scene(state).drawing.rows.length, 10);
  assert.equal(scene(answer(state)).stale, false);
});

test("colder and colder, the first bar only grows, also where its last stretch waits for the server", () => {
  for (const spread of [2, 0.01]) {
    const state = begun();
    for (const each of state.answers.values()) Object.assign(each, readAnswer(wireAnswer(logits(1, 500, spread)), { ...each, text: null }));
    const first = [1, 0.5, 0.15, 0.1, 0.05, 0].map((temperature) => scene(settings.set(state, { temperature }, true)).drawing.rows[0].probability);
    first.forEach((share, at) => assert.ok(at === 0 || share >= first[at - 1], String(first)));
  }
});

test("more bars are asked for, fewer are at hand", () => {
  const state = begun();
  assert.equal(wanted(settings.set(state, { topK: 5 })), null);
  assert.equal(scene(settings.set(state, { topK: 5 })).drawing.rows.length, 5);
  assert.equal(wanted(settings.set(state, { topK: 20 })).settings.topK, 20);
  const all = answer(settings.set(state, { topK: 40 }));
  assert.equal(wanted(settings.set(all, { topK: 1000 })), null, "there are no more than the vocabulary");
});

test("settings out of range are refused", () => {
  const state = begun();
  for (const bad of [{ topK: 0 }, { topK: 1001 }, { topK: 2.5 }, { topK: NaN }, { temperature: -0.1 }, { temperature: 101 }, { temperature: NaN }]) {
    assert.equal(settings.set(state, bad), state);
  }
});

test("no more answers are kept than fit", () => {
  let state = begun();
  for (let times = 0; times < 320; times++) state = answer(pick(state, times % 3));
  assert.equal(state.answers.size, 300);
  assert.equal(tree.path(state.tree, state.current).length, 324);
});

test("a text of 20,000 tokens is held whole", () => {
  const state = begun(Array.from({ length: 20_000 }, (_, at) => ` w${at}`).join(""));
  assert.equal(tree.path(state.tree, state.current).length, 20_000);
  assert.equal(tree.path(states.takeBack(state).tree, states.takeBack(state).current).length, 19_999);
});
