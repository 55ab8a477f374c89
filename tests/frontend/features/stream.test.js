import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { setDice, uniform } from "../../../frontend/core/draws.js";
import { wanted } from "../../../frontend/core/questions.js";
import * as settings from "../../../frontend/core/settings.js";
import { receive } from "../../../frontend/core/outcomes.js";
import * as tree from "../../../frontend/core/tree.js";
import * as play from "../../../frontend/features/dice/model.js";
import { createStream } from "../../../frontend/features/dice/stream.js";
import { wireAnswer } from "../helpers/answers.js";
import { VALUES, begun, factsOf, model, news } from "../helpers/reader.js";
import { setModels } from "../../../frontend/features/models/model.js";

globalThis.sessionStorage ??= /** @type {any} */ ({ getItem: () => null, setItem: () => {} });

/** A server that generates as the contract says. @param {{breaksAfter?: number}} [how] */
function server({ breaksAfter = Infinity } = {}) {
  /** @type {{path: string, body: any, signal: AbortSignal}[]} */
  const calls = [];
  let given = 0;
  mock.method(globalThis, "fetch", async (/** @type {string} */ path, /** @type {any} */ { body: sent, signal }) => {
    const body = JSON.parse(sent);
    calls.push({ path, body, signal });
    const { temperature, top_k: topK, top_p: topP, min_p: minP } = body;
    const at = (/** @type {number[]} */ draws) => wireAnswer(VALUES, { temperature, topK, topP, minP, draws });
    if (path === "api/next-token") return Response.json(at(body.draws ?? []));
    const lines = new TextEncoder();
    let count = 0;
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (signal.aborted) return controller.error(signal.reason);
          if (given >= breaksAfter) return controller.error(new Error("gone"));
          const { drawn, ...rest } = at([uniform(body.seed, 0, body.token_ids.length + count)]);
          const data = count === body.max_tokens ? { finish_reason: "length" } : { ...rest, index: 0, token: drawn[0] };
          controller.enqueue(lines.encode(`event: ${count === body.max_tokens ? "finish" : "token"}\ndata: ${JSON.stringify(data)}\n\n`));
          if (count++ === body.max_tokens) controller.close();
          else given++;
        },
      }),
    );
  });
  return calls;
}

/** A page that generates. */
function reader() {
  let state = setModels(begun(), news(model("tiny", "ready", { is_default: true, facts: factsOf({ vocab_size: VALUES.length }) })), 0);
  state = play.begin(setDice(state, { seed: 5, fresh: false }), "write", 1);
  const stream = createStream({ read: () => state });
  const step = async () => {
    const question = wanted(state);
    assert.ok(question, "nothing was asked");
    state = receive(state, question, await stream.ask(question, new AbortController().signal));
    assert.deepEqual(wanted(state), null, "the answer is not what was asked for");
    state = play.land(state);
    stream.consider();
  };
  return { step, stream, read: () => state, change: (/** @type {(now: typeof state) => typeof state} */ transition) => (state = transition(state)) };
}

test.afterEach(() => mock.restoreAll());

test("one stream answers for all tokens, and they are those of single rolls with that seed", async () => {
  const calls = server();
  const page = reader();
  for (let at = 0; at < 40; at++) await page.step();
  assert.ok(calls.every(({ path }) => path === "api/generate"));
  assert.ok(calls.length <= 2, "a call for each token");
  const streamed = tree.tokenIds(page.read().tree, page.read().current);
  const rolled = reader();
  rolled.change((now) => ({ ...now, settings: { ...now.settings, topK: 10 } }));
  mock.restoreAll();
  const single = server();
  const asked = createStream({ read: () => ({ ...rolled.read(), play: { kind: "roll", wrote: 0 } }) });
  for (let at = 0; at < 40; at++) {
    const question = wanted(rolled.read());
    rolled.change((now) => now);
    const answer = await asked.ask(/** @type {any} */ (question), new AbortController().signal);
    rolled.change((now) => play.land(receive(now, /** @type {any} */ (question), answer)));
  }
  assert.ok(single.every(({ path }) => path === "api/next-token"));
  assert.deepEqual(tree.tokenIds(rolled.read().tree, rolled.read().current), streamed);
});

test("stopping ends the stream at once", async () => {
  const [calls, page] = [server(), reader()];
  await page.step();
  page.change(play.stop);
  page.stream.consider();
  assert.equal(calls[0].signal.aborted, true);
});

test("what changes begins another stream from where the text is", async () => {
  const [calls, page] = [server(), reader()];
  await page.step();
  page.change((now) => ({ ...settings.set(now, { temperature: 0.5 }), play: now.play }));
  await page.step();
  assert.deepEqual(calls.map(({ body }) => body.temperature), [1, 0.5]);
  assert.equal(calls[1].body.token_ids.length, calls[0].body.token_ids.length + 1);
  assert.equal(calls[0].signal.aborted, true);
});

test("a stream that breaks off is asked for one by one", async () => {
  const [calls, page] = [server({ breaksAfter: 2 }), reader()];
  for (let at = 0; at < 3; at++) await page.step();
  assert.deepEqual(calls.map(({ path }) => path), ["api/generate", "api/next-token"]);
});

test("as many bars as the page can show come with the stream, fewer tokens at a time", async () => {
  const [calls, page] = [server(), reader()];
  page.change((now) => ({ ...now, settings: { ...now.settings, topK: 1000 } }));
  for (let at = 0; at < 4; at++) await page.step();
  assert.deepEqual([...new Set(calls.map(({ path }) => path))], ["api/generate"]);
  assert.deepEqual([...new Set(calls.map(({ body }) => `${body.top_k} ${body.max_tokens}`))], ["1000 3"]);
});
