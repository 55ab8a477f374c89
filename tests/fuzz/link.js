// Fuzzes the link in the page's address with coverage: `node tests/fuzz/link.js SECONDS`. Inputs that reach new blocks of
// the page's code are kept and changed further; one that fails is written to tests/fuzz/corpus/link and ends the run.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { tryLink } from "./link_target.js";

const CORPUS = new URL("./corpus/link/", import.meta.url);
const FOUND = new URL("../../build/fuzz/link/", import.meta.url);
const LONGEST = 40_000;
const ROUND = 200; // inputs between two looks at the coverage
const PARTS = ["#ntv=", "=", "-", "_", "%", '"', "{", "}", "[", "]", ",", ":", "null", "1e999", "-1", "2147483648", "\\ud800", "\u0000", "\ufeff", "version", "settings", "topK", "__proto__"];

/** @param {number} below */
const any = (below) => Math.floor(Math.random() * below);
/** @param {readonly string[]} of */
const one = (of) => of[any(of.length)];

/** A link's JSON in the open, or the fragment itself where it is none. @param {string} fragment */
function opened(fragment) {
  try {
    return atob(fragment.slice(5).replace(/-/g, "+").replace(/_/g, "/"));
  } catch {
    return null;
  }
}

/** @param {string} binary */
const closed = (binary) => `#ntv=${btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")}`;

/** @param {string} text @param {readonly string[]} kept */
function change(text, kept) {
  const at = any(text.length + 1);
  switch (any(6)) {
    case 0: return text.slice(0, at) + text.slice(at + 1 + any(8));
    case 1: return text.slice(0, at) + one(PARTS) + text.slice(at);
    case 2: return text.slice(0, at) + String.fromCharCode(any(256)) + text.slice(at + 1);
    case 3: return text.slice(0, at) + text.slice(any(text.length + 1)).repeat(1 + any(3));
    case 4: return text.slice(0, at) + one(kept).slice(any(40));
    default: return text.replace(/-?\d+(\.\d+)?/g, (number) => (any(3) ? number : String((Math.random() - 0.5) * 10 ** any(20))));
  }
}

/** @param {readonly string[]} kept */
function next(kept) {
  const from = one(kept);
  const inside = any(4) ? opened(from) : null;
  let text = inside ?? from;
  for (let times = 1 + any(4); times; times -= 1) text = change(text, kept);
  if (inside === null) return text.slice(0, LONGEST);
  const latin = /^[\x00-\xff]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
  return closed(latin).slice(0, LONGEST);
}

const session = new Session();
session.connect();
/** @param {string} method @param {object} [options] @returns {any} */
function ask(method, options) {
  let answer;
  session.post(/** @type {any} */ (method), options, (error, result) => {
    if (error) throw error;
    answer = result;
  });
  return answer;
}
ask("Profiler.enable");
ask("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** For each script, which of its characters have run. @type {Map<string, Uint8Array>} */
const reached = new Map();
/** Whether code ran that never ran before. */
function news() {
  let fresh = false;
  for (const { url, functions } of ask("Profiler.takePreciseCoverage").result) {
    if (!url.includes("/frontend/")) continue;
    const length = Math.max(...functions.map((each) => each.ranges[0].endOffset));
    const ran = new Uint8Array(length);
    // Outer ranges come first, and inner ones say what did not run within them.
    for (const { ranges } of functions) for (const { startOffset, endOffset, count } of ranges) ran.fill(count ? 1 : 0, startOffset, endOffset);
    const before = reached.get(url) ?? new Uint8Array(length);
    fresh ||= ran.some((now, at) => now && !before[at]);
    reached.set(url, Uint8Array.from({ length: Math.max(length, before.length) }, (_, at) => Number(Boolean(ran[at] || before[at]))));
  }
  return fresh;
}

/** @param {string} fragment */
function attempt(fragment) {
  try {
    tryLink(fragment);
  } catch (fault) {
    const name = `crash-${createHash("sha1").update(fragment).digest("hex")}`;
    writeFileSync(new URL(name, CORPUS), fragment);
    console.error(`tests/fuzz/corpus/link/${name}:`, fault);
    process.exit(1);
  }
}

mkdirSync(FOUND, { recursive: true });
const kept = [CORPUS, FOUND].flatMap((folder) => readdirSync(folder).map((name) => readFileSync(new URL(name, folder), "utf8")));
for (const fragment of kept) attempt(fragment);
news();
const until = Date.now() + 1000 * Number(process.argv[2] ?? 300);
let tried = 0;
while (Date.now() < until) {
  const round = Array.from({ length: ROUND }, () => next(kept));
  for (const fragment of round) attempt(fragment);
  tried += ROUND;
  if (!news()) continue;
  kept.push(...round);
  for (const fragment of round.slice(0, 3)) writeFileSync(new URL(createHash("sha1").update(fragment).digest("hex"), FOUND), fragment);
}
const [link] = [...reached].filter(([url]) => url.endsWith("/link.js")).map(([, ran]) => ran);
console.error(`link: ${tried} inputs, ${link.filter(Boolean).length} of ${link.length} characters of link.js ran`);
