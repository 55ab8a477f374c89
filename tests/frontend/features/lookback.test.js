import assert from "node:assert/strict";
import test from "node:test";
import { chosen, leave, look } from "../../../frontend/core/lookback.js";
import { scene, wanted } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import * as tree from "../../../frontend/core/tree.js";
import * as play from "../../../frontend/features/dice/model.js";
import { placeWords } from "../../../frontend/features/lookback/model.js";
import { outline } from "../../../frontend/features/paths/outline.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { answer, begun, pick } from "../helpers/reader.js";

const told = (/** @type {states.State} */ state) => (wanted(state) ? answer(state) : state);
/** The nodes of the text. @param {states.State} state */
const nodes = (state) => tree.path(state.tree, states.ending(state));
/** @param {states.State} state @param {number} index of a token of the text */
const lookAt = (state, index) => told(look(state, nodes(state)[index].id));
/** A text of two words and three picks. */
const picked = () => [3, 0, 2].reduce((state, index) => told(pick(told(state), index)), begun("One two"));
const held = (/** @type {states.State} */ state) => scene(state).drawing.rows.find((row) => row.candidate.token.id === chosen(state).token.id);

test("a token of the text shows what could have stood there; the text stays whole", () => {
  const state = picked();
  const back = look(state, nodes(state)[3].id);
  assert.equal(states.textHere(back), states.textHere(state));
  assert.equal(wanted(back), null, "the bars of a place that was there are at hand");
  assert.equal(scene(back).stale, false);
  assert.equal(chosen(back).id, nodes(state)[3].id);
  assert.equal(held(back).candidate.rank, 1);
  assert.deepEqual(back.past, state.past, "looking is no step of the history");
});

test("a place nobody has seen is asked as the ids before it, with its token wherever it ranks", () => {
  const state = begun("One two three");
  const back = look(state, nodes(state)[2].id);
  const question = wanted(back);
  assert.deepEqual(question.tokenIds, nodes(state).slice(0, 2).map((node) => node.token.id));
  assert.deepEqual(question.watch, [nodes(state)[2].token.id]);
  assert.equal(question.text, null);
});

test("the token that stands there has a bar of its own behind the first ones, and the others are that much less", () => {
  const state = told(settings.set(picked(), { topK: 2 }));
  const back = lookAt(state, 4);
  const { drawing } = scene(back);
  assert.equal(drawing.rows.length, 3);
  assert.equal(drawing.rows[2].candidate.rank, 3);
  assert.deepEqual(drawing.rows[2], held(back));
  assert.equal(drawing.otherCount, 37);
  const sum = drawing.rows.reduce((total, row) => total + row.probability, drawing.otherProbability);
  assert.ok(Math.abs(sum - 1) < 1e-9, `${sum}`);
});

test("at another temperature, and with cut-offs, its bar is true as well", () => {
  const state = told(settings.set(picked(), { topK: 2 }));
  const back = lookAt(state, 4);
  const warm = settings.set(back, { temperature: 2 }, true);
  const computed = held(warm).share;
  const asked = told(settings.release(warm));
  assert.ok(Math.abs(held(asked).share - computed) < 1e-4);
  const cut = told(settings.set(back, { topP: 0.01 }));
  assert.deepEqual([held(cut).share, held(cut).fell], [0, "top-p"]);
  assert.equal(scene(cut).drawing.rows[0].share, 1);
});

test("another bar starts a branch there; what followed stays, and undo leads back to it", () => {
  const state = picked();
  const whole = states.textHere(state);
  let branch = told(pick(lookAt(state, 3), 5));
  assert.equal(branch.end, null);
  assert.equal(nodes(branch).length, 4);
  assert.ok(whole.startsWith(tree.text(state.tree, nodes(state)[2].id)));
  assert.notEqual(states.textHere(branch), whole);
  assert.ok(branch.tree.nodes.has(state.current));
  assert.equal(outline(branch).length, 4);
  branch = states.undo(branch);
  assert.equal(states.textHere(branch), whole);
  assert.equal(branch.end, null);
});

test("the bar of the text's own token moves on along the text, up to its end", () => {
  const state = picked();
  let back = lookAt(state, 3);
  for (const number of [4, 5]) {
    const row = held(back);
    back = told(states.append(back, row.candidate, row.raw));
    assert.equal(states.textHere(back), states.textHere(state));
    assert.equal(tree.path(back.tree, back.current).length, number);
  }
  assert.equal(back.end, null);
  assert.deepEqual(back.past, state.past);
});

test("taking back moves one place earlier, and stops before the first token", () => {
  let back = lookAt(picked(), 2);
  back = states.takeBack(back);
  assert.equal(tree.path(back.tree, back.current).length, 1);
  back = states.takeBack(states.takeBack(states.takeBack(back)));
  assert.equal(tree.path(back.tree, back.current).length, 0);
  assert.equal(nodes(back).length, 5);
});

test("a token that is not in the text, or no more, is not looked at", () => {
  const state = picked();
  const shorter = states.undo(state);
  assert.equal(look(shorter, state.current), shorter);
  assert.equal(look(state, 12345), state);
});

test("a mark at the very beginning was not chosen: there is nothing to look at", () => {
  const state = picked();
  const [first] = nodes(state);
  const marked = { ...state, tree: tree.change(state.tree, first.id, { token: { ...first.token, special: true } }) };
  assert.equal(look(marked, first.id), marked);
  const back = look(marked, nodes(marked)[1].id);
  assert.equal(states.takeBack(back), back);
});

test("leaving, and going to the end, show again what may come next", () => {
  const state = picked();
  const back = lookAt(state, 2);
  for (const end of [leave(back), states.goTo(back, state.current)]) {
    assert.deepEqual([end.current, end.end, end.past], [state.current, null, state.past]);
    assert.equal(placeWords(end), "");
  }
  assert.equal(leave(state), state);
});

test("typing while looking edits the whole text", () => {
  const state = picked();
  const back = states.edit(lookAt(state, 2), `${states.textHere(state)} more`);
  assert.deepEqual([back.end, back.current], [null, state.current]);
  assert.equal(states.textHere(states.undo(back)), states.textHere(state));
});

test("the dice roll at the place looked at; writing on leaves the old end as a branch", () => {
  const state = picked();
  const back = lookAt(state, 2);
  let rolled = told(play.begin(back, "roll", 5));
  rolled = play.land(rolled);
  assert.ok(rolled.tree.nodes.has(state.current));
  let written = play.begin(back, "write", 5);
  for (let times = 0; times < 4; times++) written = play.land(told(written));
  assert.equal(written.end, null);
  assert.equal(nodes(written).length, 6);
  assert.ok(written.tree.nodes.has(state.current));
});

test("a reload keeps the whole text, looking or not", () => {
  const state = picked();
  const again = unpack(pack(lookAt(state, 2)));
  assert.deepEqual([states.textHere(again), again.end], [states.textHere(state), null]);
});

test("the place is said in words, with what the token had", () => {
  const back = lookAt(picked(), 3);
  assert.match(placeWords(back), /^Token 4 of 5 is “\u2068·w\d+\u2069”: [\d.]+\u202f%, rank 1\.$/);
  assert.match(placeWords(back, true), /^Token 4 of 5 is space w\d+: /);
});
