import assert from "node:assert/strict";
import { posix } from "node:path";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { PANELS, PARTS, SURFACES, TABS, VIEWS } from "../../frontend/registry.js";

const FRONTEND = new URL("../../frontend/", import.meta.url);
const html = readFileSync(new URL("index.html", FRONTEND), "utf8");
const files = (/** @type {string} */ ending) =>
  readdirSync(FRONTEND, { recursive: true }).map((name) => String(name).replaceAll("\\", "/")).filter((name) => name.endsWith(ending));
const linked = (/** @type {RegExp} */ pattern) => [...html.matchAll(pattern)].map((match) => match[1]);

/** @param {string} name @param {Set<string>} [found] @returns {Set<string>} the module and what it imports at once */
function statically(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const text = readFileSync(new URL(name, FRONTEND), "utf8");
  for (const [, path] of text.matchAll(/^(?:import|export)\b[^;]*?\bfrom "([^"]+)"/gm)) statically(posix.join(posix.dirname(name), path), found);
  return found;
}

test("what the first screen needs is named in the page, so that it loads in one round trip; the rest is not", () => {
  const modules = [...linked(/rel="modulepreload" href="([^"]+)"/g), ...linked(/<script type="module" src="([^"]+)"/g)];
  assert.deepEqual(modules.sort(), [...statically("main.js")].sort());
  const later = [...VIEWS, ...SURFACES, ...TABS, ...PANELS, ...PARTS].flatMap(({ styles = [] }) => styles);
  assert.deepEqual([...linked(/rel="stylesheet" href="([^"]+)"/g), ...later].sort(), files(".css").sort());
});

test("nothing is inline and nothing comes from elsewhere", () => {
  assert.doesNotMatch(html, /\sstyle=|<style|<script(?![^>]*\ssrc=)|\son[a-z]+=/);
  for (const name of ["index.html", "favicon.svg", ...files(".js"), ...files(".css")]) {
    const text = readFileSync(new URL(name, FRONTEND), "utf8").replaceAll("http://www.w3.org/2000/svg", "");
    assert.doesNotMatch(text, /https?:\/\/|\/\/cdn|@import/, name);
  }
});

test("text enters the page as text only", () => {
  for (const name of files(".js")) {
    const text = readFileSync(new URL(name, FRONTEND), "utf8");
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name);
  }
});

test("every id that a script looks for is in the page", () => {
  for (const name of files(".js")) {
    const text = readFileSync(new URL(name, FRONTEND), "utf8");
    for (const [, id] of text.matchAll(/(?:element|getElementById)\("([\w-]+)"\)/g)) assert.match(html, new RegExp(`id="${id}"`), `${name}: #${id}`);
  }
});
