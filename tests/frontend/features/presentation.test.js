import assert from "node:assert/strict";
import test from "node:test";
import { wanted, scene } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import { STARTERS, start } from "../../../frontend/features/examples/model.js";
import { explanations } from "../../../frontend/features/explain/model.js";
import { setModels } from "../../../frontend/features/models/model.js";
import * as presentation from "../../../frontend/features/presentation/model.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { answer, begun, model, news, pick } from "../helpers/reader.js";

test("a guessing room sees nothing until it asks, and nothing again after the next token", () => {
  let state = presentation.guess(begun(), true);
  assert.equal(scene(state), null);
  assert.equal(wanted(state), null, "the answer is at hand all the same");
  state = presentation.reveal(state);
  assert.ok(scene(state));
  state = pick(state, 2);
  assert.equal(scene(state), null);
  state = answer(state);
  assert.equal(scene(state), null);
  assert.ok(scene(presentation.guess(state, false)));
});

test("a text that is being typed can't be revealed before its answer is there", () => {
  let state = states.edit(presentation.guess(begun(), true), "Two dogs");
  assert.equal(presentation.reveal(state), state);
  state = answer(state);
  assert.ok(scene(presentation.reveal(state)));
});

test("going back to bars that were seen hides them anew", () => {
  const first = presentation.reveal(presentation.guess(begun(), true));
  const back = states.takeBack(answer(pick(first, 0)));
  assert.equal(back.current, first.current);
  assert.ok(scene(back), "these were the last ones seen");
  const further = presentation.reveal(answer(pick(first, 0)));
  assert.equal(scene(states.takeBack(further)), null);
});

test("a reload keeps the curtain, the choice about keys and the answer to the tour's offer, and ends presenting", () => {
  let state = presentation.present(presentation.guess(begun(), true), true);
  state = presentation.setKeys(state, false);
  const kept = unpack(pack(state)).room;
  assert.deepEqual([kept.guessing, kept.presenting, kept.keys, kept.tour.offered], [true, false, false, true]);
  const bare = JSON.parse(pack(state));
  delete bare.room;
  assert.deepEqual(unpack(JSON.stringify(bare)).room.keys, true, "what was kept before there was such a choice");
});

test("a starter is a step of its own, undone in one", () => {
  const before = begun("My own text");
  let state = answer(start(before, STARTERS[1]));
  assert.equal(states.textHere(state), STARTERS[1].text);
  state = states.undo(state);
  assert.equal(states.textHere(state), "My own text");
  assert.equal(start(state, { ...STARTERS[1], text: "My own text" }), state);
});

test("a starter leaves an unanswered text where undo finds it, also before there is any answer", () => {
  const first = setModels(states.initial(), news(model("tiny", "loading", { is_default: true })), 0);
  for (const before of [begun("My own text"), first]) {
    const state = start(states.rest(states.edit(before, "My own, longer text")), STARTERS[1]);
    assert.equal(state.draft, STARTERS[1].text);
    let back = state;
    while (back.draft !== "My own, longer text" && states.undo(back) !== back) back = states.undo(back);
    assert.equal(back.draft, "My own, longer text");
  }
});

test("a dozen starters and three conversations, each with a name, a text and what it shows", () => {
  assert.deepEqual([STARTERS.length, STARTERS.filter(({ turns }) => turns).length], [15, 3]);
  for (const field of ["name", "text", "shows"]) assert.equal(new Set(STARTERS.map((each) => each[field])).size, 15, field);
  for (const { text, turns } of STARTERS) if (turns) assert.deepEqual(turns.at(-1), ["user", text]);
});

test("each number is explained with the value that the page shows, and none where it is hidden", () => {
  const state = begun();
  const { drawing } = scene(state);
  const of = (/** @type {states.State} */ now, /** @type {string} */ name) => explanations(now).find((each) => each.name === name).value;
  assert.match(of(state, "A bar’s percentage"), new RegExp(`${(drawing.rows[0].share * 100).toFixed(1)}\u202f%$`));
  assert.equal(of(state, "Tokens"), "4 of 512");
  assert.equal(of(state, "Temperature"), "1");
  const told = explanations(state).map((each) => each.value);
  const behind = explanations(presentation.guess(state, true)).map((each) => each.value);
  const secret = ["A bar’s percentage", "The number before it", "The pale bar", "Others", "Bits", "Log-probability", "Logit", "Kept"];
  for (const name of secret) assert.equal(of(presentation.guess(state, true), name), "", name);
  assert.equal(behind.filter(Boolean).length, told.filter(Boolean).length - secret.length);
  assert.equal(new Set(explanations(states.initial()).map((each) => each.name)).size, explanations(state).length);
});
