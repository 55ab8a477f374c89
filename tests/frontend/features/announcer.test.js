import assert from "node:assert/strict";
import test from "node:test";
import * as settings from "../../../frontend/core/settings.js";
import { setDice } from "../../../frontend/core/draws.js";
import { mountAnnouncer } from "../../../frontend/features/announcer/view.js";
import * as play from "../../../frontend/features/dice/model.js";
import * as pins from "../../../frontend/features/pins/model.js";
import { answer, begun, pick } from "../helpers/reader.js";

/** An announcer, and all that it said. @param {() => any} [focus] */
function listener(focus = () => null) {
  const said = [];
  const root = /** @type {any} */ ({
    get textContent() {
      return said.at(-1) ?? "";
    },
    set textContent(words) {
      said.push(words);
    },
  });
  return { said, update: mountAnnouncer(root, focus) };
}

test("news, then the most likely token of each place, once, also where one draw has both", () => {
  const { said, update } = listener();
  let state = begun();
  update(state);
  assert.match(said[0], /^Using tiny\..* After .+: most likely .+, .+%\.$/);
  update(state);
  state = pick(state, 1);
  update(state);
  assert.equal(said.length, 1, "its answer has not come");
  update(answer(state));
  assert.match(said[1], /^After .+: most likely .+, .+%\.$/);
  update(pins.pin(settings.set(answer(state), { temperature: 0.7 })));
  assert.equal(said[2], "Pinned as A.");
});

test("a temperature set before the first answer was heard loses neither", () => {
  const { said, update } = listener();
  const state = begun();
  update({ ...state, answers: new Map() });
  assert.match(said[0], /^Using tiny\.$/);
  update(settings.set(state, { temperature: 0.9 }));
  assert.match(said[1], /^Temperature 0\.9: .+\. After .+: most likely .+, .+%\.$/);
  assert.equal(said.length, 2);
});

test("the end of writing on is what is heard last, also where the last step was not drawn before it", () => {
  const { said, update } = listener();
  let state = begun();
  update(state);
  state = answer(play.begin(setDice(state, { seed: 3, fresh: false }), "write", 0));
  update(state);
  assert.equal(said.length, 1, "while it writes");
  state = play.stop(answer(play.land(state)));
  update(state);
  update(state);
  assert.deepEqual(said.slice(1), ["Stopped after 1 token."]);
});

test("a temperature set by a key is said, with the bar in focus or the first one; a slider says its own", () => {
  let at = null;
  const { said, update } = listener(() => at);
  let state = begun();
  update(state);
  update(state);
  const before = said.length;
  for (const [temperature, focused, words] of /** @type {const} */ ([
    [0.9, null, /^Temperature 0\.9: space w\d+, [\d.]+\u202f%\.$/],
    [0.8, { matches: () => false, closest: () => ({ getAttribute: () => "space w3, 20 %, rank 2" }) }, /^Temperature 0\.8: space w3, 20 %, rank 2\.$/],
  ])) {
    at = focused;
    state = settings.set(state, { temperature });
    update(state);
    assert.match(said.at(-1), words);
  }
  assert.equal(said.length, before + 2);
  at = { matches: () => true, closest: () => null };
  state = settings.set(state, { temperature: 0.7 });
  update(state);
  state = settings.set(state, { temperature: 0.6 }, true);
  update(state);
  assert.equal(said.length, before + 2);
});
