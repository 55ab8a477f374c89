import assert from "node:assert/strict";
import test from "node:test";
import * as outcomes from "../../../frontend/core/outcomes.js";
import { scene, wanted } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import * as frame from "../../../frontend/core/frame.js";
import * as states from "../../../frontend/core/state.js";
import * as tree from "../../../frontend/core/tree.js";
import * as compare from "../../../frontend/features/compare/model.js";
import { setModels } from "../../../frontend/features/models/model.js";
import { statusLine } from "../../../frontend/features/status/model.js";
import { load, pack, save, unpack } from "../../../frontend/features/storage/model.js";
import { createShelf } from "../../../frontend/features/storage/shelf.js";
import { readAnswer, readModels } from "../../../frontend/net/wire.js";
import { logits, wireAnswer, wireToken } from "../helpers/answers.js";

/** @param {string} text @param {string[]} words */
function begun(text, words) {
  const models = readModels({ models: [{ name: "tiny", state: "ready", is_default: true }] });
  const state = setModels(states.edit(states.initial(), text), models, 0);
  const question = wanted(state);
  const json = wireAnswer(logits(41, 40, 2), { tokens: words.map((word, at) => wireToken(at, word)) });
  return outcomes.receive(state, question, readAnswer(json, { model: "tiny", text, ...question.settings }));
}

/** @param {states.State} state what a reload must keep */
const kept = ({ tree: { nodes }, current, draft, past, future, settings, open, wish, model }) =>
  ({ nodes: [...nodes], current, draft, past, future, settings, open, wish, model });

test("a reload keeps text, branches, undo, settings and model", () => {
  let state = begun("Hi ✓", ["Hi", " ✓"]);
  for (const index of [0, 1, 2]) {
    const row = scene(state).drawing.rows[index];
    state = states.append(state, row.candidate, row.raw);
    const question = wanted(state);
    const json = wireAnswer(logits(42 + index, 40, 2));
    state = outcomes.receive(state, question, readAnswer(json, { model: "tiny", text: null, ...question.settings }));
  }
  assert.equal(tree.path(state.tree, state.current).length, 5);
  state = settings.set(states.undo(state), { temperature: 0.35, topK: 7, topP: 0.9, minP: 0.02 });
  state = frame.openTab(state, "settings");
  assert.deepEqual(kept(unpack(pack(state))), kept(state));
});

test("a reload keeps what B asks, unless it is none", () => {
  const state = compare.heatOther(compare.writeOther(begun("One", ["One"]), "Two"), 0.5);
  const { prompt, temperature } = unpack(pack(state)).comparison;
  assert.deepEqual([prompt?.text, prompt?.at, temperature], ["Two", state.current, 0.5]);
  const spoiled = JSON.parse(pack(state));
  spoiled.comparison = { model: 7, temperature: 1e9, prompt: { text: [] } };
  assert.deepEqual(unpack(JSON.stringify(spoiled)).comparison, states.initial().comparison);
});

test("a reload keeps a text that had no answer yet", () => {
  const state = states.edit(begun("One", ["One"]), "One and more");
  const again = unpack(pack(state));
  assert.equal(again.draft, "One and more");
  assert.equal(states.textHere(states.undo(again)), "One");
});

test("what can't be read is left aside, and the page starts fresh", () => {
  for (const bad of ["", "{", "null", "7", '{"version":99}', '{"version":1}', '{"version":1,"nodes":[{"id":1,"parent":5}],"past":[],"future":[]}']) {
    const state = load({ getItem: () => bad });
    assert.equal(state.draft, states.FIRST_TEXT);
    assert.equal(state.current, null);
  }
  assert.equal(load({ getItem: () => null }).draft, states.FIRST_TEXT);
  const forbidden = () => {
    throw new Error("denied");
  };
  assert.equal(load({ getItem: forbidden }).draft, states.FIRST_TEXT);
  assert.equal(save({ setItem: forbidden }, states.initial()), "nothing");
});

test("settings out of range and places that are gone are not believed", () => {
  const record = JSON.parse(pack(begun("One", ["One"])));
  record.settings = { topK: 1e9, temperature: "hot", topP: 0, minP: null, more: 1 };
  record.open = { more: "yes", strange: true };
  record.past = [999, 1];
  record.current = 12345;
  const state = unpack(JSON.stringify(record));
  assert.deepEqual(state.settings, { topK: 10, temperature: 1, topP: 1, minP: 0 });
  assert.deepEqual(state.open, states.initial().open);
  assert.deepEqual(state.past, [1]);
  assert.equal(state.current, null);
});

test("a storage that is nearly full keeps less, and says how much", () => {
  const state = begun("One two three", ["One", " two", " three"]);
  const row = scene(state).drawing.rows[0];
  const tried = states.undo(states.append(state, row.candidate, 0.1));
  /** @param {number} room in characters */
  const storage = (room) => {
    let kept = "";
    const setItem = (/** @type {string} */ _, /** @type {string} */ value) => {
      if (value.length > room) throw new DOMException("full", "QuotaExceededError");
      kept = value;
    };
    return { setItem, read: () => unpack(kept) };
  };
  const sizes = [Infinity, pack(tried).length - 1, 800].map(storage);
  assert.deepEqual(sizes.map((each) => save(each, tried)), ["all", "way", "text"]);
  assert.deepEqual(sizes.map((each) => states.textHere(each.read()) || each.read().draft), Array(3).fill("One two three"));
  assert.deepEqual(sizes.map((each) => each.read().tree.nodes.size), [5, 4, 0]);
  const line = (/** @type {states.State["saved"]} */ saved) => statusLine({ ...tried, saved });
  assert.equal(line("all").tone, "calm");
  assert.match(line("way").words, /storage is full.* not the other paths/);
  assert.deepEqual([line("nothing").tone, /blocked/.test(line("nothing").words)], ["bad", true]);
});

test("each tab finds its own again; a new one begins where a page was used last", () => {
  const place = () => {
    const kept = new Map();
    return {
      full: false,
      getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
      removeItem: (/** @type {string} */ key) => void kept.delete(key),
      setItem(/** @type {string} */ key, /** @type {string} */ value) {
        if (this.full) throw new DOMException("full", "QuotaExceededError");
        kept.set(key, value);
      },
    };
  };
  const [shared, first, second, third] = [place(), place(), place(), place()];
  const tabs = [first, second, third].map((own) => createShelf(() => own, () => shared));
  tabs[0].setItem("key", "one");
  tabs[1].setItem("key", "two");
  assert.deepEqual(tabs.map((tab) => tab.getItem("key")), ["one", "two", "two"]);
  tabs[0].setItem("key", "one");
  assert.equal(createShelf(place, () => shared).getItem("key"), "two", "nothing new was done in the first");
  first.full = true;
  tabs[0].setItem("key", "newer");
  assert.equal(tabs[0].getItem("key"), "newer", "what is old does not hide what is new");
  shared.full = true;
  assert.throws(() => tabs[1].setItem("key", "lost"));
});

test("where everything is too much, the way here is kept; where that is too much, the text", () => {
  let state = begun("One", ["One"]);
  const row = scene(state).drawing.rows[0];
  row.candidate.token = { id: 9, bytes: new Uint8Array(2_000_000).fill(97), special: false };
  state = states.undo(states.append(state, row.candidate, 0.1));
  const way = unpack(pack(state));
  assert.equal(states.textHere(way), "One");
  assert.equal(way.tree.nodes.size, 2);
  state = states.redo(state);
  const alone = unpack(pack({ ...state, draft: "kept" }));
  assert.deepEqual([alone.draft, alone.current], ["kept", null]);
  assert.equal(tree.path(state.tree, state.current).length, 2);
});
