import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { ROLLS, draws, setDice, uniform } from "../../../frontend/core/draws.js";
import { look } from "../../../frontend/core/lookback.js";
import * as outcomes from "../../../frontend/core/outcomes.js";
import { scene, wanted } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import * as tree from "../../../frontend/core/tree.js";
import * as play from "../../../frontend/features/dice/model.js";
import { createPlayer } from "../../../frontend/features/dice/player.js";
import { choose, lose, setModels } from "../../../frontend/features/models/model.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { answer, begun, model, news, pick } from "../helpers/reader.js";

/** @param {states.State} state @param {number} seed that stays */
const seeded = (state, seed) => setDice(state, { seed, fresh: false });
const idOf = (/** @type {states.State} */ state) => tree.tokenIds(state.tree, state.current).at(-1);

test("numbers are spread evenly over [0, 1), repeat with their seed and differ with another", () => {
  const drawn = Array.from({ length: 10_000 }, (_, at) => uniform(7, at % 100, Math.floor(at / 100)));
  assert.ok(drawn.every((each) => each >= 0 && each < 1));
  const mean = drawn.reduce((sum, each) => sum + each) / drawn.length;
  assert.ok(Math.abs(mean - 0.5) < 0.02, `mean ${mean}`);
  const buckets = Array.from({ length: 20 }, (_, at) => drawn.filter((each) => Math.floor(each * 20) === at).length);
  assert.ok(buckets.every((count) => Math.abs(count - 500) < 100), String(buckets));
  assert.deepEqual(drawn.slice(0, 50), Array.from({ length: 50 }, (_, at) => uniform(7, at, 0)));
  assert.notEqual(uniform(8, 0, 0), drawn[0]);
});

test("numbers are those of the contract, as numpy's Generator(Philox(key, counter)).random() gives them", () => {
  const known = /** @type {const} */ ([
    [0, 0, 0, 0.011546754286331562],
    [7, 0, 5, 0.4543056052750971],
    [2 ** 53 - 1, 3, 100, 0.6808305589826272],
    [1, 99, 8191, 0.8342440770584176],
  ]);
  for (const [seed, index, position, number] of known) assert.equal(uniform(seed, index, position), number);
});

test("the most likely token is the first bar; on stale bars nothing is taken", () => {
  const state = begun();
  const first = scene(state).drawing.rows[0].candidate.token.id;
  const next = play.mostLikely(state);
  assert.equal(idOf(next), first);
  assert.equal(play.mostLikely(next), next, "its bars have not come yet");
});

test("a roll asks for one draw, shows where it fell, then appends; undo takes it back", () => {
  let state = play.begin(seeded(begun(), 5), "roll", 99);
  const [draw, ...rest] = wanted(state).draws;
  assert.ok(draw >= 0 && draw < 1);
  assert.deepEqual(rest, []);
  assert.equal(play.dart(state), null);
  const before = state.current;
  state = answer(state);
  const { candidate, at } = play.dart(state);
  assert.equal(at, draw);
  assert.match(play.playWords(state), /^The dart landed at .+: “.+”, rank \d+, .+%\.$/);
  assert.equal(state.current, before, "not yet");
  const landed = play.land(state);
  assert.equal(idOf(landed), candidate.token.id);
  assert.deepEqual([landed.play, landed.current === before], [null, false]);
  assert.equal(states.undo(landed).current, before);
});

test("the dart falls as far down the cumulated bars as its number says, beyond them among the others", () => {
  const falls = Array.from({ length: 60 }, (_, seed) => {
    const state = answer(play.begin(seeded(settings.set(begun(), { topK: 4 }), seed), "roll", 0));
    const { candidate, at } = play.dart(state);
    const { rows } = scene(state).drawing;
    let sum = 0;
    const index = rows.findIndex((row) => (sum += row.share) > at);
    if (index < 0) assert.ok(candidate.rank > 4);
    else assert.equal(candidate.token.id, rows[index].candidate.token.id);
    return index;
  });
  assert.ok(falls.includes(-1) && falls.includes(0), "both kinds were seen");
});

test("a token among the others is appended with its rank and its probability at temperature 1", () => {
  for (let seed = 0; seed < 60; seed++) {
    const state = answer(play.begin(seeded(settings.set(begun(), { topK: 2 }), seed), "roll", 0));
    const { candidate } = play.dart(state);
    if (candidate.rank <= 2) continue;
    const landed = play.land(state);
    const node = tree.node(landed.tree, landed.current);
    assert.deepEqual([node.rank, node.probability, node.token], [candidate.rank, candidate.probability, candidate.token]);
    return;
  }
  assert.fail("no dart fell among the others");
});

test("what is cut is never drawn", () => {
  const state = answer(play.begin(settings.set(begun(), { topP: 0.5 }), "tally", 3));
  const { rows, kept } = scene(state).drawing;
  const counts = play.tally(state);
  assert.ok(kept.count < 10);
  assert.equal(rows.filter((row) => row.fell && counts.has(row.candidate.token.id)).length, 0);
  assert.equal([...counts.values()].reduce((sum, count) => sum + count), ROLLS);
});

test("a hundred rolls repeat with their seed, come near the bars, and begin with the single roll", () => {
  const state = seeded(begun(), 1234);
  const first = play.tally(answer(play.begin(state, "tally", 1)));
  assert.deepEqual(play.tally(answer(play.begin(state, "tally", 2))), first);
  assert.notDeepEqual(play.tally(answer(play.begin(seeded(state, 1235), "tally", 3))), first);
  const rolled = answer(play.begin(state, "tally", 4));
  for (const row of scene(rolled).drawing.rows) {
    const expected = ROLLS * row.share;
    assert.ok(Math.abs((first.get(row.candidate.token.id) ?? 0) - expected) <= 4 * Math.sqrt(expected) + 2);
  }
  assert.equal(draws(play.begin(state, "tally", 5))[0], draws(play.begin(state, "roll", 6))[0]);
  assert.match(play.playWords(rolled), /^100 rolls with seed 1234: \d+ landed on these bars, \d+ on the others\.$/);
});

test("a new seed for each roll, unless one is set to stay", () => {
  assert.equal(play.begin(begun(), "roll", 77).dice.seed, 77);
  assert.equal(play.begin(seeded(begun(), 5), "roll", 77).dice.seed, 5);
  const state = begun();
  for (const bad of [{ seed: -1 }, { seed: 1.5 }, { seed: 2 ** 32 }, { pace: 0 }, { pace: NaN }]) assert.equal(setDice(state, bad), state);
  const kept = unpack(pack(setDice(state, { seed: 42, fresh: false, pace: 7 })));
  assert.deepEqual(kept.dice, { seed: 42, fresh: false, pace: 7 });
  assert.deepEqual(unpack(JSON.stringify({ ...JSON.parse(pack(state)), dice: { seed: "x" } })).dice, states.initial().dice);
});

test("writing on appends step by step, one undo step in all, the same again with the same seed", () => {
  const start = seeded(begun(), 9);
  const write = () => {
    let state = play.begin(start, "write", 0);
    for (let times = 0; times < 5; times++) state = play.land(answer(state));
    return state;
  };
  const state = write();
  assert.equal(state.play.wrote, 5);
  assert.deepEqual(tree.tokenIds(write().tree, write().current), tree.tokenIds(state.tree, state.current));
  let back = play.stop(state);
  assert.equal(play.playWords(back), "Stopped after 5 tokens.");
  assert.equal(wanted(back).draws.length, 0);
  const end = back.current;
  back = states.undo(back);
  assert.equal(back.current, start.current);
  back = states.redo(back);
  assert.equal(back.current, end);
  const more = play.land(answer(play.begin(answer(pick(answer(back), 2)), "write", 0)));
  const steps = [states.undo(more), states.undo(states.undo(more)), states.undo(states.undo(states.undo(more)))];
  assert.deepEqual(steps.map(({ current }) => tree.path(more.tree, current).length - tree.path(more.tree, start.current).length), [6, 5, 0], "a pick after it is a step of its own");
});

test("writing on stops where the user moves, types or sets something, at an error and when the server is lost", () => {
  const state = answer(play.begin(begun(), "write", 1));
  const others = [
    states.edit(state, "else"),
    settings.set(state, { temperature: 0.5 }),
    states.takeBack(state),
    outcomes.fail(state, { key: "x", message: "no", code: "internal", field: null, again: false }),
    lose(state, "gone"),
  ];
  for (const next of others) {
    assert.equal(next.play, null);
    assert.equal(play.land(next), next);
  }
});

/** A text being written, and what becomes of it when the dart falls on that token. @param {object} facts */
function writing(facts) {
  const state = answer(play.begin(begun(undefined, facts), "write", 1));
  const [key, here] = [...state.answers.entries()].at(-1);
  const changed = (/** @type {object} */ changes) => ({ ...state, answers: new Map(state.answers).set(key, { ...here, ...changes }) });
  const draw = (/** @type {number} */ id, /** @type {string} */ text, special = true) =>
    play.land(changed({ drawn: [{ ...here.drawn[0], token: { id, bytes: new TextEncoder().encode(text), special } }] }));
  return { here, changed, draw };
}

test("writing on ends at each of the model's own ends and at no other mark", () => {
  const { draw } = writing({ end_of_text_ids: [7, 0] });
  for (const id of [0, 7]) {
    const ended = draw(id, "<|end|>");
    assert.deepEqual([ended.play, play.playWords(ended)], [null, "The text has ended: “\u2068<|end|>\u2069”. 1 token generated."]);
    assert.equal(idOf(ended), id);
  }
  assert.equal(draw(0, "ordinary text", false).play, null, "whatever the tokenizer thinks of it");
  for (const id of [1, 6, 8]) {
    const on = draw(id, "<|channel|>");
    assert.deepEqual([on.play, idOf(on)], [{ kind: "write", wrote: 1 }, id]);
  }
});

test("what ended a text is not said of another model, temperature, text or place", () => {
  const { draw } = writing({ end_of_text_ids: [0] });
  const ended = draw(0, "<|end|>");
  const two = setModels(ended, news(model("tiny", "ready", { is_default: true }), model("other")), 1);
  assert.match(play.playWords(two), /^The text has ended/, "news of models change nothing");
  const others = {
    "another model": choose(two, "other"),
    "its answer": answer(choose(two, "other")),
    "another temperature": settings.set(ended, { temperature: 0.5 }),
    "another text": states.edit(ended, "else"),
    "one token less": states.takeBack(ended),
    "a look back": look(answer(ended), tree.path(ended.tree, ended.current)[1].id),
    "the next token": play.mostLikely(answer(ended)),
  };
  for (const [name, next] of Object.entries(others)) assert.equal(play.playWords(next), "", name);
});

test("a model that takes over does not go on drawing for the one before", () => {
  for (const kind of /** @type {const} */ (["roll", "write", "tally"])) {
    const state = setModels(answer(play.begin(begun(), kind, 1)), news(model("tiny"), model("other")), 1);
    assert.deepEqual([choose(state, "other").play, wanted(choose(state, "other")).draws], [null, []]);
  }
});

test("writing on ends with the context, in words", () => {
  const { here, changed } = writing({});
  const full = play.land(changed({ contextLimit: here.tokenCount + 1 }));
  assert.match(play.playWords(full), /^The text fills the model’s context window of \d+ tokens\. 1 token generated\.$/);
});

test("nothing begins without a text that has its bars", () => {
  const typed = states.edit(begun(), "more");
  assert.equal(play.begin(typed, "roll", 1), typed);
  const lost = lose(begun(), "gone");
  assert.equal(play.begin(lost, "write", 1), lost);
});

test("a dart is seen before its token joins, once; a dart withdrawn never lands", (context) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  context.after(() => mock.timers.reset());
  let state = answer(play.begin(begun(), "roll", 1));
  const before = state.current;
  const player = createPlayer({ read: () => state, act: (transition) => ((state = transition(state)), player.consider()) });
  player.consider();
  player.consider();
  assert.equal(state.current, before);
  mock.timers.tick(2000);
  const landed = state.current;
  assert.notEqual(landed, before);
  mock.timers.tick(5000);
  assert.equal(state.current, landed);
  state = answer(play.begin(answer(state), "roll", 2));
  player.consider();
  state = play.stop(state);
  player.consider();
  mock.timers.tick(5000);
  assert.equal(state.current, landed);
});
