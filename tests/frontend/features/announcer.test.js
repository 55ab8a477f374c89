import assert from "node:assert/strict";
import test from "node:test";
import { setDice } from "../../../frontend/core/draws.js";
import { mountAnnouncer } from "../../../frontend/features/announcer/view.js";
import * as play from "../../../frontend/features/dice/model.js";
import { answer, begun, pick } from "../helpers/reader.js";

/** An announcer, and all that it said. */
function listener() {
  const said = [];
  const root = /** @type {any} */ ({
    get textContent() {
      return said.at(-1) ?? "";
    },
    set textContent(words) {
      said.push(words);
    },
  });
  return { said, update: mountAnnouncer(root) };
}

test("news first, then the most likely token of each place, once", () => {
  const { said, update } = listener();
  let state = begun();
  update(state);
  assert.match(said[0], /^tiny answers\./);
  update(state);
  assert.match(said[1], /^After .+: most likely .+, .+%\.$/);
  update(state);
  state = pick(state, 1);
  update(state);
  assert.equal(said.length, 2, "its answer has not come");
  update(answer(state));
  assert.match(said[2], /^After .+: most likely .+, .+%\.$/);
});

test("the end of writing on is what is heard last, also where the last step was not drawn before it", () => {
  const { said, update } = listener();
  let state = begun();
  update(state);
  update(state);
  state = answer(play.begin(setDice(state, { seed: 3, fresh: false }), "write", 0));
  update(state);
  assert.equal(said.length, 2, "while it writes");
  state = play.stop(answer(play.land(state)));
  update(state);
  update(state);
  assert.deepEqual(said.slice(2), ["Stopped after 1 token."]);
});
