import assert from "node:assert/strict";
import test from "node:test";
import * as outcomes from "../../../frontend/core/outcomes.js";
import { answerHere } from "../../../frontend/core/questions.js";
import * as frame from "../../../frontend/core/frame.js";
import * as states from "../../../frontend/core/state.js";
import { setModels } from "../../../frontend/features/models/model.js";
import { statusLine } from "../../../frontend/features/status/model.js";
import { CallFailed } from "../../../frontend/net/api.js";
import { createAsker } from "../../../frontend/net/asker.js";
import { readAnswer, readModels } from "../../../frontend/net/wire.js";
import { logits, wireAnswer, wireToken } from "../helpers/answers.js";

/** A page without views: its state, and the questions asked, each to be answered or refused by the test. */
function page() {
  let state = states.initial();
  /** @type {{question: states.Question, signal: AbortSignal, answer: () => Promise<void>, refuse: (error: Error) => Promise<void>}[]} */
  const asked = [];
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const act = (transition) => {
    state = transition(state);
    asker.consider();
  };
  const asker = createAsker({
    read: () => state,
    act,
    think: outcomes.think,
    ask: (question, signal) =>
      new Promise((resolve, reject) => {
        const tokens = question.text === null ? undefined : [...question.text].map((letter) => wireToken(letter.codePointAt(0), letter));
        const json = wireAnswer(logits(51, 40, 2), { ...question.settings, model: question.model, tokens });
        asked.push({
          question,
          signal,
          answer: () => (resolve(readAnswer(json, { ...question.settings, model: question.model, text: question.text })), settle()),
          refuse: (error) => (reject(error), settle()),
        });
      }),
  });
  act((now) => setModels(now, readModels({ models: [{ name: "tiny", state: "ready", is_default: true }] }), 0));
  return { asked, act, state: () => state };
}

test("one question at a time; the newest aborts the older, whose late answer is never heard", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, act, state } = page();
  await asked[0].answer();
  act((now) => states.edit(now, "ab"));
  context.mock.timers.tick(500);
  act((now) => states.edit(now, "abc"));
  assert.equal(asked[1].signal.aborted, true);
  context.mock.timers.tick(500);
  await asked[2].answer();
  await asked[1].answer();
  assert.equal(asked.length, 3);
  assert.equal(states.textHere(state()), "abc");
});

test("quick typing is asked once, when it pauses", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, act } = page();
  for (const text of ["a", "ab", "abc", "abcd"]) {
    act((now) => states.edit(now, text));
    context.mock.timers.tick(50);
  }
  assert.equal(asked.length, 1);
  context.mock.timers.tick(500);
  assert.deepEqual(asked.map(({ question }) => question.text), [states.FIRST_TEXT, "abcd"]);
});

test("a pick is asked at once", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, act, state } = page();
  await asked[0].answer();
  act((now) => states.append(now, answerHere(now).candidates[0], 0.5));
  assert.equal(asked.length, 2);
  assert.equal(asked[1].question.tokenIds.length, states.FIRST_TEXT.length + 1);
  await asked[1].answer();
  assert.equal(answerHere(state()).candidates.length, 10);
});

test("a server that asks for patience is asked again, each time later, until it answers", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, state } = page();
  for (const wait of [1000, 2000, 4000]) {
    await asked.at(-1).refuse(new CallFailed("Too much is waiting.", "resource_exhausted", { retryAfterMs: 1000 }));
    assert.equal(state().trouble.again, true);
    const before = asked.length;
    context.mock.timers.tick(wait - 1);
    assert.equal(asked.length, before);
    context.mock.timers.tick(1);
    assert.equal(asked.length, before + 1);
  }
  await asked.at(-1).answer();
  assert.equal(state().trouble, null);
  assert.equal(states.textHere(state()), states.FIRST_TEXT);
});

test("an answer that takes time is said to, and no longer once it is there", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, act, state } = page();
  const words = () => statusLine(state()).words;
  context.mock.timers.tick(390);
  assert.equal(words(), "");
  context.mock.timers.tick(10);
  assert.equal(words(), "tiny is thinking…");
  context.mock.timers.tick(7600);
  assert.match(words(), /^tiny is still thinking: .* Your text is safe\.$/);
  await asked[0].answer();
  assert.equal(words(), "");
  act((now) => states.append(now, answerHere(now).candidates[0], 0.5));
  context.mock.timers.tick(400);
  assert.equal(words(), "tiny is thinking…");
  act(states.undo);
  assert.equal(words(), "", "what nobody waits for any more takes no time");
  context.mock.timers.tick(10_000);
  assert.equal(words(), "");
});

test("what was refused for a while is asked again also where another question came between", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, act } = page();
  await asked[0].answer();
  act((now) => states.append(now, answerHere(now).candidates[0], 0.5));
  await asked[1].refuse(new CallFailed("Too much work waits.", "overloaded", { retryAfterMs: 2000 }));
  act((now) => frame.openTab(now, "settings")); // with more to be told
  act((now) => frame.setInspector(now, false));
  const before = asked.length;
  context.mock.timers.tick(3000);
  assert.deepEqual([asked.length, asked.at(-1).question.key], [before + 1, asked[1].question.key]);
});

test("a refusal for good is not asked again by itself", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, act, state } = page();
  await asked[0].refuse(new CallFailed("text: too long", "invalid_argument", { field: "text" }));
  context.mock.timers.tick(60_000);
  assert.equal(asked.length, 1);
  assert.deepEqual([state().trouble.field, state().draft], ["text", states.FIRST_TEXT]);
  act(outcomes.retry);
  assert.equal(asked.length, 2);
});
