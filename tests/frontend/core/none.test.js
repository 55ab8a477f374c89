/** Rows of the model that its tokenizer has no token for: told apart by eye and ear, and never part of a text. */
import assert from "node:assert/strict";
import test from "node:test";
import { FIRST_DISPLAY } from "../../../frontend/core/display.js";
import { scene } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import { groups, noToken, shown, spoken, textOf } from "../../../frontend/core/tokens.js";
import * as tree from "../../../frontend/core/tree.js";
import { mountAnnouncer } from "../../../frontend/features/announcer/view.js";
import { detail } from "../../../frontend/features/detail/model.js";
import * as play from "../../../frontend/features/dice/model.js";
import * as pins from "../../../frontend/features/pins/model.js";
import { svg } from "../../../frontend/features/share/picture.js";
import { snapshot, toCsv, toJson, toText } from "../../../frontend/features/share/snapshot.js";
import { answer, begun } from "../helpers/reader.js";

const ID = 151_900;
const NAME = "no token, id 151900";
const none = { id: ID, bytes: new Uint8Array(), special: true };
const mark = { id: 1, bytes: new TextEncoder().encode("<s>"), special: true };
const empty = { id: 2, bytes: new Uint8Array(), special: false };

/** The text at hand, with that token in the place of these bars and of whatever is drawn. @param {states.State} state @param {number[]} places */
function padded(state, places) {
  const [key, here] = [...state.answers.entries()].at(-1);
  const candidates = here.candidates.map((each, at) => (places.includes(at) ? { ...each, token: { ...none, id: ID + at } } : each));
  const drawn = here.drawn.map((each) => ({ ...each, token: none }));
  return { ...state, answers: new Map(state.answers).set(key, { ...here, candidates, drawn }) };
}

test("it is named by its id, for eye and ear, and is neither a mark nor an empty token", () => {
  assert.deepEqual([none, mark, empty].map(noToken), [true, false, false]);
  assert.deepEqual([shown(none), spoken(none)], [NAME, NAME]);
  const [group] = groups([none]);
  assert.deepEqual([group.special, group.pieces.map((piece) => piece.text)], [true, [NAME]]);
  assert.equal(textOf([none]), "");
});

test("a click, a digit and its key append nothing and say why; the text and its history stay", () => {
  const state = padded(begun(), [0, 3]);
  const before = { text: states.textHere(state), current: state.current, past: state.past };
  for (const at of [0, 3]) {
    const row = scene(state).drawing.rows[at];
    const next = states.append(state, row.candidate, row.raw);
    assert.deepEqual({ text: states.textHere(next), current: next.current, past: next.past }, before);
    assert.equal(next.tree, state.tree);
    assert.equal(play.playWords(next), `Nothing was appended: the model has a row for id ${ID + at}, but its tokenizer has no token for it.`);
  }
  const fine = scene(state).drawing.rows[1];
  assert.notEqual(states.append(state, fine.candidate, fine.raw).current, state.current);
});

test("the most likely token is the first bar that is one; where none is, it says so", () => {
  const state = padded(begun(), [0, 1]);
  const wanted = scene(state).drawing.rows[2].candidate.token.id;
  assert.equal(tree.tokenIds(play.mostLikely(state).tree, play.mostLikely(state).current).at(-1), wanted);
  const all = padded(begun(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(play.mostLikely(all).current, all.current);
  assert.match(play.playWords(play.mostLikely(all)), /^Nothing was appended: the model has a row for id 151900/);
});

test("a dart that falls there is named, and its landing appends nothing, in words", () => {
  const rolling = padded(answer(play.begin(begun(), "roll", 1)), []);
  assert.match(play.playWords(rolling), /^The dart landed at .+: no token, id 151900, rank \d+, .+%\.$/);
  const landed = play.land(rolling);
  assert.deepEqual([landed.current, landed.play], [rolling.current, null]);
  assert.equal(play.playWords(landed), `The dart landed on ${NAME}, so nothing was appended.`);
});

test("writing on stops there, in words that are also heard", () => {
  /** @type {string[]} */
  const said = [];
  const hear = mountAnnouncer(/** @type {any} */ ({ set textContent(/** @type {string} */ words) { said.push(words); } }));
  let state = play.land(answer(play.begin(begun(), "write", 1)));
  hear(state);
  hear(state);
  state = play.land(padded(answer(state), []));
  hear(state);
  assert.deepEqual([state.play, play.playWords(state)], [null, `The dart landed on ${NAME}, so nothing was appended. 1 token generated.`]);
  assert.equal(said.at(-1), `The dart landed on ${NAME}, so nothing was appended. 1 token generated.`);
});

test("what is taken out of the page names it", () => {
  const now = snapshot(padded(begun(), [0]));
  assert.match(toText(now), /^ *1 {2}no token, id 151900 /m);
  const [, line] = toCsv(now).split("\r\n");
  assert.ok(line.includes(`,1,"${NAME}",,`) && line.endsWith(`,${ID}`), line);
  assert.match(svg(now, FIRST_DISPLAY, /** @type {any} */ ({ light: {}, dark: {} })), />\u2068no token, id 151900\u2069</);
  const [first] = JSON.parse(toJson(now)).candidates;
  assert.deepEqual([first.token_id, first.text, first.bytes, first.is_special], [ID, "", "", true], "as the contract says it");
});

test("the card of a token in the text tells what it is", () => {
  const state = begun();
  const node = { ...tree.node(state.tree, state.current), token: none };
  assert.deepEqual(Object.fromEntries(detail(state, node)).kind, "none: the tokenizer has no token with this id");
  assert.deepEqual(Object.fromEntries(detail(state, { ...node, token: mark })).kind, "special token, no text");
});

test("rows without a token are compared by id within a model and never between two", () => {
  const cells = (/** @type {number} */ share) => [{ token: none, share }, { token: { ...none, id: ID + 1 }, share: 1 - share }];
  const spread = (/** @type {string} */ model, /** @type {number} */ share) => ({ model, cells: cells(share), whole: true, entropyBits: 1 });
  assert.ok(Math.abs(pins.difference(spread("a", 0.25), spread("a", 0.75)).moved - 0.5) < 1e-12);
  assert.equal(pins.difference(spread("a", 0.25), spread("b", 0.25)).moved, 1);
  const pin = /** @type {any} */ ({ ...spread("a", 0.25), name: "A" });
  assert.deepEqual(pins.shareIn(pin, none, "a"), { share: 0.25, known: true });
  assert.deepEqual(pins.shareIn(pin, none, "b"), { share: 0, known: true });
});
