import assert from "node:assert/strict";
import test from "node:test";
import { wanted, scene } from "../../frontend/scripts/questions.js";
import { setModels } from "../../frontend/scripts/models.js";
import * as room from "../../frontend/scripts/room.js";
import { explanations } from "../../frontend/scripts/explain.js";
import { STARTERS, start } from "../../frontend/scripts/starters.js";
import * as states from "../../frontend/scripts/state.js";
import { pack, unpack } from "../../frontend/scripts/storage.js";
import { answer, begun, model, news, pick } from "./steps.js";

test("a guessing room sees nothing until it asks, and nothing again after the next token", () => {
  let state = room.guess(begun(), true);
  assert.equal(scene(state), null);
  assert.equal(wanted(state), null, "the answer is at hand all the same");
  state = room.reveal(state);
  assert.ok(scene(state));
  state = pick(state, 2);
  assert.equal(scene(state), null);
  state = answer(state);
  assert.equal(scene(state), null);
  assert.ok(scene(room.guess(state, false)));
});

test("a text that is being typed can't be revealed before its answer is there", () => {
  let state = states.edit(room.guess(begun(), true), "Two dogs");
  assert.equal(room.reveal(state), state);
  state = answer(state);
  assert.ok(scene(room.reveal(state)));
});

test("going back to bars that were seen hides them anew", () => {
  const first = room.reveal(room.guess(begun(), true));
  const back = states.takeBack(answer(pick(first, 0)));
  assert.equal(back.current, first.current);
  assert.ok(scene(back), "these were the last ones seen");
  const further = room.reveal(answer(pick(first, 0)));
  assert.equal(scene(states.takeBack(further)), null);
});

test("a reload keeps the curtain, the choice about keys and the answer to the tour's offer, and ends presenting", () => {
  let state = room.present(room.guess(begun(), true), true);
  state = room.setKeys(state, false);
  const kept = unpack(pack(state)).room;
  assert.deepEqual([kept.guessing, kept.presenting, kept.keys, kept.tour.offered], [true, false, false, true]);
  const bare = JSON.parse(pack(state));
  delete bare.room;
  assert.deepEqual(unpack(JSON.stringify(bare)).room.keys, true, "what was kept before there was such a choice");
});

test("a starter is a step of its own, undone in one", () => {
  const before = begun("My own text");
  let state = answer(start(before, STARTERS[1].text));
  assert.equal(states.textHere(state), STARTERS[1].text);
  state = states.undo(state);
  assert.equal(states.textHere(state), "My own text");
  assert.equal(start(state, "My own text"), state);
});

test("a starter leaves an unanswered text where undo finds it, also before there is any answer", () => {
  const first = setModels(states.initial(), news(model("tiny", "loading", { is_default: true })), 0);
  for (const before of [begun("My own text"), first]) {
    const state = start(states.rest(states.edit(before, "My own, longer text")), STARTERS[1].text);
    assert.equal(state.draft, STARTERS[1].text);
    let back = state;
    while (back.draft !== "My own, longer text" && states.undo(back) !== back) back = states.undo(back);
    assert.equal(back.draft, "My own, longer text");
  }
});

test("a dozen starters, each with a name, a text and what it shows", () => {
  assert.equal(STARTERS.length, 12);
  for (const field of ["name", "text", "shows"]) assert.equal(new Set(STARTERS.map((each) => each[field])).size, 12, field);
});

test("each number is explained with the value that the page shows, and none where it is hidden", () => {
  const state = begun();
  const { drawing } = scene(state);
  const of = (/** @type {states.State} */ now, /** @type {string} */ name) => explanations(now).find((each) => each.name === name).value;
  assert.match(of(state, "The percentage at a bar"), new RegExp(`${(drawing.rows[0].share * 100).toFixed(1)}\u202f%$`));
  assert.equal(of(state, "Tokens"), "4 of 512");
  assert.equal(of(state, "Temperature"), "1");
  const told = explanations(state).map((each) => each.value);
  const behind = explanations(room.guess(state, true)).map((each) => each.value);
  const secret = ["The percentage at a bar", "The number before it", "The pale bar", "Others", "Bits", "Log-probability", "Logit", "Kept"];
  for (const name of secret) assert.equal(of(room.guess(state, true), name), "", name);
  assert.equal(behind.filter(Boolean).length, told.filter(Boolean).length - secret.length);
  assert.equal(new Set(explanations(states.initial()).map((each) => each.name)).size, explanations(state).length);
});
