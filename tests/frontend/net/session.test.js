import assert from "node:assert/strict";
import test from "node:test";
import { createSession } from "../../../frontend/net/session.js";

/** @param {Map<string, string>} kept */
const storage = (kept) => ({ getItem: (/** @type {string} */ key) => kept.get(key) ?? null, setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value) });

test("a page keeps its name over a reload; another page has another", () => {
  const kept = new Map();
  const name = createSession(() => storage(kept));
  assert.match(name(), /^[0-9a-f]{32}$/);
  assert.equal(name(), name());
  assert.equal(createSession(() => storage(kept))(), name());
  assert.notEqual(createSession(() => storage(new Map()))(), name());
});

test("what is no name is replaced", () => {
  const kept = new Map();
  const name = createSession(() => storage(kept))();
  for (const key of kept.keys()) kept.set(key, "evil\r\nheader: 1");
  const next = createSession(() => storage(kept))();
  assert.match(next, /^[0-9a-f]{32}$/);
  assert.notEqual(next, name);
});

test("where storage is forbidden the name holds as long as the page", () => {
  const name = createSession(() => {
    throw new DOMException("denied", "SecurityError");
  });
  assert.match(name(), /^[0-9a-f]{32}$/);
  assert.equal(name(), name());
});
