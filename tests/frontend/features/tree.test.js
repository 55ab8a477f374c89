import assert from "node:assert/strict";
import test from "node:test";
import * as states from "../../../frontend/core/state.js";
import * as trees from "../../../frontend/core/tree.js";
import * as cameras from "../../../frontend/features/tree/camera.js";
import { HEIGHT, extent, neighbour, placeAt, places } from "../../../frontend/features/tree/layout.js";
import * as model from "../../../frontend/features/tree/model.js";
import { paint } from "../../../frontend/features/tree/paint.js";
import { CallFailed } from "../../../frontend/net/api.js";
import { readEvent } from "../../../frontend/net/events.js";
import { readMass, readNode } from "../../../frontend/net/grow.js";
import { BadAnswer } from "../../../frontend/net/wire.js";
import { wireToken } from "../helpers/answers.js";
import { answer, begun, pick } from "../helpers/reader.js";

const HALF = Math.log(0.5);
/** @param {number} id @param {number} parent @param {number} token @param {string} word */
const node = (id, parent, token, word, end = false) =>
  readNode({ id, parent, token: { ...wireToken(token, word), rank: 1, logprob: HALF }, path_logprob: HALF, depth: 1, is_end: end });
const MASS = { covered: 0.25, open: 0.5, pruned: 0.25 };
const NODES = [node(1, 0, 3, " w3"), node(2, 1, 900, " and"), node(3, 2, 901, " so"), node(4, 0, 902, " but"), node(5, 4, 903, "<end>", true)];

/** A text with two branches, the second one at hand. */
function forked() {
  const first = answer(pick(begun("One two"), 0));
  return answer(pick(states.goTo(first, /** @type {number} */ (first.past.at(-1))), 1));
}

/** @param {states.State} state @param {readonly any[]} [nodes] grown where the text ends */
function grown(state, nodes = NODES) {
  const at = /** @type {number} */ (state.current);
  return model.add(model.begin(state, at, 3, 50), at, { nodes: [...nodes], mass: MASS });
}
const words = (/** @type {states.State} */ state) => places(state).map((place) => place.words);

test("runs without a fork are one place; the text's way is marked", () => {
  const all = places(forked());
  assert.deepEqual(all.map(({ words: each }) => each).slice(0, 1), ["One·two"]);
  assert.equal(all.length, 3);
  assert.deepEqual(all.map(({ way }) => way), [true, false, true]);
  assert.deepEqual(all.map(({ here }) => here), [false, false, true]);
  assert.equal(all[0].probability, null);
  assert.ok(/** @type {number} */ (all[1].probability) > /** @type {number} */ (all[2].probability));
  assert.equal(all[1].flow, all[1].probability);
  assert.deepEqual(places(states.initial()), []);
});

test("what was grown hangs where it began, beside what was tried, and ends where the text does", () => {
  const state = grown(forked());
  assert.deepEqual(words(state).slice(3), ["·w3·and·so", "·but<end>"].map((each) => each));
  const [long, short] = places(state).slice(3);
  assert.deepEqual([long.own, long.grown?.id, short.grown?.id, short.end], [null, 3, 5, true]);
  assert.ok(Math.abs(/** @type {number} */ (long.probability) - 0.125) < 1e-12);
  assert.match(model.told(state), /^5 branches: 25\.0\u202f% of the probability reaches/);
});

test("a grown branch becomes the text by a click, with its probabilities, and is then one that was tried", () => {
  const state = grown(forked());
  const [long] = places(state).slice(3);
  const taken = model.take(state, long);
  assert.equal(states.textHere(taken), `${states.textHere(state)} w3 and so`);
  const here = places(taken).find((place) => place.here);
  assert.equal(here?.grown, null);
  assert.ok(Math.abs(Number(here?.probability) - 0.125) < 1e-12);
  assert.equal(trees.node(taken.tree, /** @type {number} */ (taken.current)).rank, 1);
  assert.equal(states.textHere(states.undo(taken)), states.textHere(state));
  assert.equal(model.take(taken, { ...long, grown: { root: 999, id: 1 } }), taken);
  const back = model.take(taken, /** @type {any} */ (places(taken)[1]));
  assert.equal(back.current, places(taken)[1].own);
});

test("a growth begins, arrives and ends; another one ends it, and an old one makes room", () => {
  const state = forked();
  const at = /** @type {number} */ (state.current);
  const running = model.begin(state, at, 3, 2000);
  assert.deepEqual(running.grown.running, { at, depth: 3, most: 2000 });
  assert.equal(model.add(running, 999, { nodes: NODES, mass: MASS }), running);
  const done = model.end(model.add(running, at, { nodes: NODES, mass: MASS }));
  assert.equal(done.grown.running, null);
  assert.equal(model.end(done), done);
  const other = /** @type {number} */ (trees.node(state.tree, at).parent);
  assert.deepEqual([...model.begin(done, other, 3, 50).grown.growths.keys()], [at, other]);
  assert.deepEqual([...model.begin(done, other, 3, 2000).grown.growths.keys()], [other]);
  assert.equal(model.told(model.end(running, "It broke.")), "It broke.");
  assert.equal(model.clear(done).grown.growths.size, 0);
  assert.equal(model.begin(state, 999, 3, 50), state);
});

test("rows never overlap, and every place can be hit", () => {
  const all = places(grown(forked()));
  for (const place of all) {
    assert.equal(placeAt(all, place.x + 1, place.y + 1), place);
    for (const other of all) {
      if (other === place) continue;
      const apart = other.x > place.x + place.width || place.x > other.x + other.width || Math.abs(other.y - place.y) >= HEIGHT;
      assert.ok(apart, `${place.words} lies on ${other.words}`);
    }
  }
  const { width, height } = extent(all);
  assert.ok(all.every((place) => place.x + place.width <= width && place.y + HEIGHT <= height));
  assert.equal(placeAt(all, -5, -5), undefined);
});

test("arrow keys walk along the tree and stay in it", () => {
  const all = places(grown(forked()));
  assert.equal(neighbour(all, 0, "ArrowRight"), 2); // the text's own way
  assert.equal(neighbour(all, 2, "ArrowLeft"), 0);
  assert.equal(neighbour(all, 2, "ArrowUp"), 1);
  assert.equal(neighbour(all, 1, "ArrowUp"), 1);
  assert.equal(neighbour(all, 3, "ArrowDown"), 4);
  assert.equal(neighbour(all, 4, "ArrowRight"), 4);
  assert.equal(neighbour(all, -1, "ArrowRight"), 2);
});

test("two thousand branches are laid out without recursion", () => {
  const wide = Array.from({ length: 2000 }, (_, at) => node(at + 1, at < 40 ? 0 : 1 + (at % 40), 2000 + at, ` t${at}`));
  assert.equal(places(grown(forked(), wide)).length, 2003);
  const deep = Array.from({ length: 2000 }, (_, at) => node(at + 1, at, 2000 + at, ` t${at}`));
  assert.equal(places(grown(forked(), deep)).length, 4);
});

test("zooming keeps what is under the pointer, and has limits", () => {
  const camera = { x: 10, y: 20, scale: 1 };
  const near = cameras.zoom(camera, 100, 50, 2);
  assert.deepEqual([near.x + 100 / near.scale, near.y + 50 / near.scale], [110, 70]);
  assert.equal(cameras.zoom(camera, 0, 0, 1e9).scale, cameras.MOST);
  assert.equal(cameras.zoom(camera, 0, 0, 0).scale, cameras.LEAST);
  assert.deepEqual(cameras.pan(near, 20, -20), { ...near, x: near.x - 10, y: near.y + 10 });
  const view = { width: 400, height: 300 };
  const all = cameras.whole({ width: 4000, height: 300 }, view);
  assert.ok(all.scale * 4000 <= 400 && all.x < 0);
  assert.equal(cameras.whole({ width: 10, height: 10 }, view).scale, 1);
  assert.deepEqual(cameras.readable({ width: 100, height: 90 }, view, { x: 5, y: 5 }), cameras.whole({ width: 100, height: 90 }, view));
  const large = cameras.readable({ width: 9000, height: 9000 }, view, { x: 500, y: 800 });
  assert.equal((800 - large.y) * large.scale, 60); // a fifth of the view stands above it: what is likeliest goes straight on, the rest lies below
  assert.ok(large.scale > 0.5 && (500 - large.x) * large.scale < 200);
  const shown = cameras.reveal(camera, { x: 1000, y: 900, width: 50 }, HEIGHT, view);
  assert.ok(shown.x <= 1000 && shown.x + 400 >= 1050 && shown.y + 300 >= 920);
  assert.deepEqual(cameras.reveal(shown, { x: 1000, y: 900, width: 50 }, HEIGHT, view), shown);
});

/** @param {readonly any[]} all @param {import("../../../frontend/features/tree/camera.js").Camera} camera @returns {Record<string, number>} how often each of a canvas's methods is called */
function painted(all, camera) {
  /** @type {Record<string, number>} */
  const calls = {};
  const count = (/** @type {any} */ _, /** @type {string} */ name) => () => void (calls[name] = (calls[name] ?? 0) + 1);
  const colours = { ink: "1", quiet: "2", accent: "3", grown: "4", surface: "5" };
  paint(/** @type {any} */ (new Proxy({}, { get: count, set: () => true })), all, camera, { width: 400, height: 300, colours, focused: null, font: "" });
  return calls;
}

test("a whole tree is a few strokes without boxes, and what is out of view is not drawn", () => {
  const wide = Array.from({ length: model.MOST_GROWN }, (_, at) => node(at + 1, at && 1 + (at >> 1), at + 5, ` w${at}`));
  const all = places(grown(forked(), wide));
  const view = { width: 400, height: 300 };
  const whole = cameras.whole(extent(all), view);
  assert.ok(extent(all).height * whole.scale <= view.height);
  const far = painted(all, whole);
  assert.ok(far.stroke < 20, `${far.stroke} strokes`);
  assert.equal(far.moveTo, all.length);
  for (const name of ["strokeRect", "fillRect", "fillText", "setLineDash"]) assert.equal(far[name], undefined, name);
  const near = painted(all, { x: 0, y: 0, scale: 1 });
  const shown = all.filter(({ x, y, width }) => x <= 400 && x + width >= 0 && y <= 300 + HEIGHT);
  assert.equal(near.fillText, shown.length);
  assert.ok(shown.length > 3 && near.moveTo < 100, `${near.moveTo} connections`);
  const away = painted(all, { x: 0, y: 1e6, scale: whole.scale });
  assert.equal(away.stroke ?? 0, 0);
});

test("what a server streams is read or refused", () => {
  assert.equal(readEvent(": heartbeat"), null);
  assert.deepEqual(readEvent('event: node\ndata: {"id": 1}'), { name: "node", data: { id: 1 } });
  assert.throws(() => readEvent("event: node\ndata: {"), CallFailed);
  for (const wrong of [{ id: 0 }, { parent: 9 }, { token: {} }, { path_logprob: null }, { token: null }]) {
    const good = { id: 2, parent: 1, token: { ...wireToken(5, "x"), rank: 1, logprob: -1 }, path_logprob: -2, is_end: false };
    assert.throws(() => readNode({ ...good, ...wrong }), BadAnswer);
    assert.throws(() => readNode(good, 5), BadAnswer);
  }
  assert.throws(() => readMass({ covered: 2, open: 0, pruned: 0 }), BadAnswer);
});
