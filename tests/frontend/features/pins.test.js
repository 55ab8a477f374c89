import assert from "node:assert/strict";
import test from "node:test";
import { scene, wanted } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import { setModels } from "../../../frontend/features/models/model.js";
import * as presentation from "../../../frontend/features/presentation/model.js";
import * as linked from "../../../frontend/features/pins/linked.js";
import * as pins from "../../../frontend/features/pins/model.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { logits, random, softmax } from "../helpers/answers.js";
import { VALUES, answer, begun, model, news, pick } from "../helpers/reader.js";

/** @param {number} id */
const token = (id) => ({ id, bytes: new TextEncoder().encode(` w${id}`), special: false });

/** @param {number[]} shares @param {number} [most] cells at hand @param {string} [model] @returns {pins.Spread} */
function spread(shares, most = shares.length, model = "tiny") {
  const order = shares.map((_, id) => id).sort((a, b) => shares[b] - shares[a]);
  const cells = order.slice(0, most).map((id) => ({ token: token(id), share: shares[id] }));
  return { model, cells, whole: most >= shares.length, entropyBits: 1 };
}

/** @param {number[]} before @param {number[]} after total variation, as written in a textbook */
const variation = (before, after) => before.reduce((sum, share, id) => sum + Math.abs(share - after[id]), 0) / 2;

test("with all tokens at hand the difference is the total variation", () => {
  const [before, after] = [softmax(logits(1, 60, 2), 1), softmax(logits(2, 60, 2), 1)];
  const found = pins.difference(spread(before), spread(after));
  assert.ok(found.exact);
  assert.ok(Math.abs(found.moved - variation(before, after)) < 1e-12);
  const gains = after.map((share, id) => share - before[id]);
  assert.equal(found.rose.token.id, gains.indexOf(Math.max(...gains)));
  assert.equal(found.fell.token.id, gains.indexOf(Math.min(...gains)));
  assert.ok(Math.abs(found.rose.by - Math.max(...gains)) < 1e-12);
});

test("with the top alone it is never more than the truth, and tight where the top is nearly all", () => {
  const next = random(7);
  for (let round = 0; round < 200; round++) {
    const [before, after] = [softmax(logits(round, 80, 0.5 + 3 * next()), 1), softmax(logits(round + (next() < 0.5 ? 0 : 1000), 80, 0.5 + 3 * next()), 1)];
    const [few, many] = [1 + Math.floor(next() * 20), 1 + Math.floor(next() * 79)];
    const found = pins.difference(spread(before, few), spread(after, many));
    assert.ok(!found.exact);
    assert.ok(found.moved <= variation(before, after) + 1e-12, `round ${round}`);
    for (const change of [found.rose, found.fell]) {
      if (!change) continue;
      const truth = after[change.token.id] - before[change.token.id];
      assert.ok(Math.abs(change.by) <= Math.abs(truth) + 1e-12 && change.by * truth > 0, `round ${round}: ${change.by}, truly ${truth}`);
    }
  }
  const [before, after] = [softmax([9, 8, 0, 0, 0], 1), softmax([8, 9, 0, 0, 0], 1)];
  assert.ok(variation(before, after) - pins.difference(spread(before, 2), spread(after, 2)).moved < 1e-6);
});

test("the same distribution has not moved; disjoint ones have moved whole", () => {
  const shares = softmax(logits(3, 30, 2), 1);
  assert.equal(pins.difference(spread(shares, 5), spread(shares, 5)).moved, 0);
  const [one, other] = [[1, 0], [0, 1]];
  assert.equal(pins.difference(spread(one), spread(other)).moved, 1);
});

test("tokens of two models are the same where they spell the same, not where their ids agree", () => {
  const mine = spread([0.7, 0.3]);
  const theirs = { ...spread([0.4, 0.6], 2, "other"), cells: [{ token: { ...token(0), id: 900 }, share: 0.4 }, { token: { ...token(77), id: 1 }, share: 0.6 }] };
  assert.deepEqual(pins.shareIn(theirs, token(0), "tiny"), { share: 0.4, known: true });
  assert.deepEqual(pins.shareIn(theirs, token(1), "tiny"), { share: 0, known: true }, "id 1 is another token there");
  assert.ok(Math.abs(pins.difference(mine, theirs).moved - 0.6) < 1e-12);
});

test("a pin holds what the bars showed, through other texts, settings and a reload", () => {
  const state = pins.pin(begun());
  const [pin] = state.pins;
  const rows = scene(state).drawing.rows;
  assert.deepEqual([pin.name, pin.model, pin.text, state.versus], ["A", "tiny", "Once upon a time", "A"]);
  assert.deepEqual(pin.cells.slice(0, 10).map((cell) => cell.share), rows.map((row) => row.share));
  const moved = answer(settings.set(pick(state, 1), { temperature: 0.5 }));
  assert.deepEqual(moved.pins[0].cells.slice(0, 10), pin.cells.slice(0, 10));
  const again = unpack(pack(moved));
  assert.deepEqual([again.pins, again.versus], [moved.pins, "A"]);
});

test("what comes of a pinned text later makes its pin deeper, at the settings it was pinned at", () => {
  let state = pins.pin(begun());
  assert.equal(state.pins[0].cells.length, 10);
  assert.equal(wanted(state)?.settings.topK, 200, "more tokens are asked for, to compare them");
  state = pins.deepen(answer(settings.set(state, { temperature: 2 }), { settings: { ...state.settings, temperature: 2, topK: 40 } }));
  const [pin] = state.pins;
  assert.equal(pin.cells.length, 40);
  assert.ok(pin.whole);
  const exact = softmax(VALUES, 1);
  for (const { token, share } of pin.cells) assert.ok(Math.abs(share - exact[token.id]) < 1e-4);
  assert.equal(pins.deepen(state), state, "and that is all");
});

test("a pin of a link waits for its own answer, which tells its text, even where the bars of its prompt are there", () => {
  const here = pins.pin(begun());
  const state = pins.deepen({ ...here, pins: linked.fromLink(linked.toLink(here.pins)) });
  assert.equal(state.pins[0].cells.length, 0);
  const asked = linked.wantedPin(state);
  assert.ok(asked?.whole);
  const [known] = here.answers.values();
  const promptTokens = [{ id: 1, bytes: new TextEncoder().encode("Once upon a time"), special: false }];
  const [pin] = linked.receivePin(state, asked, { ...known, promptTokens }).pins;
  assert.equal(pin.prompt, "Once upon a time");
  assert.ok(pin.cells.length >= 10);
});

test("of a model with fewer tokens no more are asked for than it has", () => {
  const facts = { parameters: 1, device: "cpu", dtype: "float32", vocab_size: 40, context_limit: 9 };
  const small = setModels(begun(), news(model("tiny", "ready", { is_default: true, facts })), 1);
  assert.equal(wanted(pins.pin(small))?.settings.topK, 40);
});

/** Pins the text's bars at another temperature. @param {states.State} state @param {number} temperature */
const warmed = (state, temperature) => pins.pin(settings.set(state, { temperature }));

test("bars that are pinned already are not pinned twice: that pin is compared with, and named", () => {
  const two = warmed(pins.pin(begun()), 2);
  const again = warmed(two, 1);
  assert.deepEqual([again.pins.map(({ name }) => name), again.versus, again.said], [["A", "B"], "A", "Already pinned as A."]);
  assert.equal(warmed(two, 2).versus, "B");
  const [cut] = [pins.pin(settings.set(two, { topP: 0.5 }))];
  assert.deepEqual([cut.pins.length, cut.said], [3, null]);
  assert.equal(pins.pin(settings.set(two, { topK: 5 })).pins.length, 2, "the number of bars is not theirs");
  assert.equal(pins.pin(answer(pick(two, 0))).pins.length, 3);
});

test("three pins at most; the freed letter is used again; the next one is compared with", () => {
  let state = begun();
  for (let round = 0; round < 4; round++) state = warmed(state, 1 + round);
  assert.deepEqual(state.pins.map((pin) => pin.name), ["A", "B", "C"]);
  assert.equal(pins.unpinnable(state), "3 are pinned; unpin one first");
  state = pins.unpin(pins.versus(state, "B"), "B");
  assert.deepEqual([state.pins.map((pin) => pin.name), state.versus], [["A", "C"], "C"]);
  assert.equal(pins.pin(state).pins.at(-1).name, "B", "at the temperature of the fourth");
  state = pins.unpin(pins.unpin(state, "A"), "C");
  assert.deepEqual([state.pins, state.versus], [[], null]);
});

test("a pin taken off is put back where it was, until the text moves on", () => {
  const three = pins.versus(warmed(warmed(pins.pin(begun()), 2), 3), "B");
  const two = pins.unpin(three, "B");
  assert.equal(pins.unpinned(two).name, "B");
  const back = pins.repin(two);
  assert.deepEqual([back.pins, back.versus, pins.unpinned(back)], [three.pins, "B", null]);
  assert.equal(pins.repin(back), back);
  assert.equal(pins.unpinned(warmed(two, 4)), null);
  const moved = pick(two, 0);
  assert.equal(pins.unpinned(moved), null);
  assert.equal(pins.repin(moved), moved);
  assert.equal(pins.unpin(three, "Z"), three);
});

test("while a text has no answer there is nothing to pin", () => {
  const typing = states.edit(begun(), "Other words");
  assert.equal(pins.unpinnable(typing), "These bars are not those of the text yet");
  assert.equal(pins.unpinnable(begun()), "");
  const guessing = presentation.guess(begun(), true);
  assert.equal(pins.unpinnable(guessing), "The bars are hidden: show them first");
  assert.equal(pins.pin(guessing), guessing);
  assert.equal(pins.pin(typing), typing);
});

test("a cut is pinned as it was cut", () => {
  const cutting = answer(settings.set(begun(), { topP: 0.4 }));
  const [pin] = pins.pin(cutting).pins;
  const kept = pin.cells.filter((cell) => cell.share > 0);
  assert.ok(kept.length < pin.cells.length);
  assert.ok(Math.abs(kept.reduce((sum, cell) => sum + cell.share, 0) - 1) < 1e-6);
  assert.ok(pin.whole, "nothing beyond the cut has a share");
});

test("stored pins that are not whole are left aside, the others kept", () => {
  const record = JSON.parse(pack(pins.pin(pins.pin(begun()))));
  const [good, other] = record.pins;
  const bad = [null, 7, { ...other, name: "Z" }, { ...other, cells: "many" }, { ...other, entropyBits: null }, { ...other, settings: { temperature: -1 } },
    { ...other, cells: [{ id: 1, bytes: "AA==", special: false, share: 7 }] }, { ...good }];
  for (const each of bad) {
    const state = unpack(JSON.stringify({ ...record, pins: [good, each], versus: "B" }));
    assert.deepEqual([state.pins.map((pin) => pin.name), state.versus], [["A"], "A"], JSON.stringify(each)?.slice(0, 80));
  }
  assert.deepEqual(unpack(JSON.stringify({ ...record, pins: "none" })).pins, []);
});
