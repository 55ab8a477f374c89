import assert from "node:assert/strict";
import test from "node:test";
import { answerHere, wanted } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import * as tree from "../../../frontend/core/tree.js";
import { choose, lose, offered, setModels } from "../../../frontend/features/models/model.js";
import { answer, begun, model, news, pick } from "../helpers/reader.js";

const textOf = states.textHere;

test("while the server is lost nothing is asked, and picks go on", () => {
  let state = lose(begun(), "gone");
  state = pick(state, 0);
  assert.equal(wanted(state), null);
  assert.match(textOf(state), /time w\d+$/);
  assert.ok(wanted(setModels(state, state.models, 0)));
});

test("the demo model answers while the default downloads, and gives way when it is ready", () => {
  const waiting = news(model("org/big", "downloading", { is_default: true, bytes_done: 1, bytes_total: 9 }), model("bundled"));
  let state = setModels(states.initial(), waiting, 0);
  assert.equal(wanted(state).model, "bundled");
  state = answer(state);
  state = setModels(state, news(model("org/big", "ready", { is_default: true }), model("bundled")), 1);
  assert.equal(wanted(state).model, "org/big");
  assert.equal(wanted(state).text, states.FIRST_TEXT);
});

test("a text built token by token waits for the user's word before another model reads it", () => {
  const waiting = news(model("org/big", "loading", { is_default: true }), model("bundled"));
  let state = answer(pick(answer(setModels(states.initial(), waiting, 0)), 0));
  const text = textOf(state);
  state = setModels(state, news(model("org/big", "ready", { is_default: true }), model("bundled")), 1);
  assert.equal(state.model, "bundled");
  assert.equal(offered(state).name, "org/big");
  state = choose(state, "org/big");
  assert.deepEqual([wanted(state).model, wanted(state).text], ["org/big", text]);
  state = answer(state);
  assert.equal(textOf(state), text);
  state = states.undo(state);
  assert.deepEqual([state.model, textOf(state)], ["bundled", text]);
  assert.equal(offered(state), undefined, "going back to a model is a choice of it");
});

test("ids of one model are never asked of another", () => {
  const both = news(model("a", "ready", { is_default: true }), model("b"));
  let state = answer(pick(answer(setModels(states.initial(), both, 0)), 0));
  state = choose(state, "b");
  assert.equal(wanted(state).tokenIds, null);
  state = answer(state);
  assert.equal(tree.node(state.tree, state.current).model, "b");
  assert.equal(answerHere(state).model, "b");
});

test("a model that has left the list gives its text to one that is there", () => {
  let state = answer(pick(begun(), 0));
  const text = textOf(state);
  state = setModels(state, news(model("bundled", "ready", { is_default: true })), 1);
  assert.deepEqual([wanted(state).model, wanted(state).text], ["bundled", text]);
});

test("a reloading default keeps its picked tokens and does not fall to the demo model by itself", () => {
  const ready = news(model("org/big", "ready", { is_default: true }), model("bundled"));
  let state = answer(pick(answer(setModels(states.initial(), ready, 0)), 0));
  state = pick(state, 1);
  state = setModels(state, news(model("org/big", "loading", { is_default: true }), model("bundled")), 1);
  assert.equal(state.model, "org/big");
  assert.equal(wanted(state), null);
});
