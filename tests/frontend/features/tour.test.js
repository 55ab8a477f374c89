import assert from "node:assert/strict";
import test from "node:test";
import { scene } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import * as states from "../../../frontend/core/state.js";
import * as presentation from "../../../frontend/features/presentation/model.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { offer } from "../../../frontend/features/tour/model.js";
import * as stops from "../../../frontend/features/tour/stops.js";
import * as tour from "../../../frontend/features/tour/walk.js";
import { answer, begun, pick } from "../helpers/reader.js";

/** @param {states.State} state @param {number} by */
const go = (state, by) => Array.from({ length: by }).reduce((now) => tour.walk(now, 1), state);

test("the tour is offered to a first visitor, and never again once taken or declined", () => {
  assert.ok(offer(states.initial()));
  const declined = tour.end(states.initial());
  assert.ok(!offer(declined));
  assert.ok(!offer(unpack(pack(declined))));
  assert.ok(!offer(unpack(pack(tour.begin(begun())))), "a reload in the middle of it is a way to leave");
  assert.equal(tour.end(declined), declined);
});

test("who finds the way alone is not asked", () => {
  const state = [0, 0, 0].reduce((now, index) => answer(pick(now, index)), begun());
  assert.ok(!offer(state));
});

test("each stop tells of the text and the bars at hand, and of what was tried", () => {
  let state = go(tour.begin(begun()), 1);
  const { drawing } = scene(state);
  assert.match(stops.stop(state).words, new RegExp(`leads with ${(drawing.rows[0].share * 100).toFixed(1)}`));
  assert.equal(stops.stop(state).tried, false);
  state = pick(state, 1);
  assert.equal(stops.stop(state).tried, false, "its bars are not there yet");
  state = answer(state);
  assert.ok(stops.stop(state).tried);
  assert.match(stops.stop(state).words, new RegExp(`You picked .*had given ${(drawing.rows[1].raw * 100).toFixed(1)}`));
  state = tour.walk(state, 1);
  assert.equal(stops.stop(state).tried, false);
  state = settings.set(state, { temperature: 0.5 });
  assert.match(stops.stop(state).words, /^At 0\.5 the first bar has /);
  const rolled = answer(pick(tour.walk(state, 1), 0));
  assert.match(stops.stop(rolled).words, /The model had given it [\d.]+.%, before temperature\./, "not what the bar had shown");
  state = tour.walk(settings.set(state, { temperature: 1 }), 2);
  assert.equal(stops.stop(state).tried, false);
  state = states.takeBack(state);
  assert.ok(stops.stop(state).tried);
});

test("the tour offers a fresh text to a reader who has one, and gives theirs back", () => {
  assert.ok(!stops.stop(tour.begin(begun())).fresh, "the page's first text is fresh");
  const before = answer(pick(answer(states.edit(begun(), "My own words")), 0));
  const own = states.textHere(before);
  let state = tour.begin(before);
  assert.ok(stops.stop(state).fresh);
  state = answer(tour.refresh(state));
  assert.equal(states.textHere(state), states.FIRST_TEXT);
  assert.equal(state.room.tour.at, 0);
  assert.ok(!stops.stop(state).fresh);
  assert.equal(tour.refresh(state), state);
  state = go(answer(pick(go(state, 1), 0)), tour.LENGTH - 1);
  assert.equal(stops.stop(state), null);
  assert.equal(state.current, before.current, "token by token");
  assert.equal(states.textHere(state), own);
});

test("walking beyond the last stop ends it, before the first one stays", () => {
  let state = tour.walk(tour.begin(begun()), -1);
  assert.equal(state.room.tour.at, 0);
  state = go(state, tour.LENGTH - 1);
  assert.ok(stops.stop(state));
  state = tour.walk(state, 1);
  assert.equal(stops.stop(state), null);
  assert.equal(tour.walk(state, 1), state);
});

test("the tour shows the bars even to a room that was guessing", () => {
  const state = tour.begin(presentation.present(presentation.guess(begun(), true), true));
  assert.ok(scene(state));
  assert.equal(state.room.presenting, false);
});

test("every stop stands without a text and without bars", () => {
  let state = tour.begin(states.edit(states.initial(), ""));
  for (let at = 0; at < tour.LENGTH; at++, state = tour.walk(state, 1)) {
    assert.ok(stops.stop(state).words.length > 20);
    assert.doesNotMatch(stops.stop(state).words, /undefined|NaN|null/);
  }
});
