/** Who imports whom on the page: read from the files as they are, static and dynamic imports alike. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import test from "node:test";

const FRONTEND = new URL("../../frontend/", import.meta.url);
const BLOCK = /\/\*[\s\S]*?\*\//g;
const modules = readdirSync(FRONTEND, { recursive: true }).map((name) => String(name).replaceAll("\\", "/")).filter((name) => name.endsWith(".js"));
const sources = new Map(modules.map((name) => [name, readFileSync(new URL(name, FRONTEND), "utf8")]));

/** @param {string} source @returns {string} without its comments */
const code = (source) => source.replace(BLOCK, "").replace(/^\s*\/\/.*$/gm, "");
/** @param {string} from @param {string} path relative to it @returns {string} */
const target = (from, path) => posix.join(posix.dirname(from), path);

/** @param {string} name @param {string} source @returns {string[]} the modules that it loads, at once or later */
function imports(name, source) {
  const found = [...code(source).matchAll(/\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g)];
  return found.map(([, named, bare]) => target(name, named ?? bare));
}

/** @param {string} name @param {string} source @returns {[string, string][]} the modules, and what of them, that its comments name as types */
function types(name, source) {
  const comments = (source.match(BLOCK) ?? []).join("\n");
  return [...comments.matchAll(/import\("([^"]+)"\)\.(\w+)/g)].map(([, path, type]) => [target(name, path), type]);
}

/** @param {ReadonlyMap<string, readonly string[]>} graph @returns {string[][]} the groups whose members all lead to one another (Tarjan) */
function cycles(graph) {
  const [order, low] = [new Map(), new Map()];
  /** @type {string[]} */
  const open = [];
  /** @type {string[][]} */
  const found = [];
  const visit = (/** @type {string} */ name) => {
    order.set(name, order.size);
    low.set(name, order.get(name));
    open.push(name);
    for (const next of graph.get(name) ?? []) {
      if (!order.has(next)) visit(next);
      if (open.includes(next)) low.set(name, Math.min(low.get(name), low.get(next)));
    }
    if (low.get(name) !== order.get(name)) return;
    const group = open.splice(open.indexOf(name));
    if (group.length > 1 || graph.get(name)?.includes(name)) found.push(group.sort());
  };
  for (const name of graph.keys()) if (!order.has(name)) visit(name);
  return found;
}

const graph = new Map([...sources].map(([name, source]) => [name, imports(name, source)]));

test("the search for cycles finds them, and only them", () => {
  const net = new Map([["a", ["b", "d"]], ["b", ["c"]], ["c", ["a"]], ["d", ["e"]], ["e", []], ["f", ["f"]]]);
  assert.deepEqual(cycles(net), [["a", "b", "c"], ["f"]]);
  const loads = imports("x/y.js", 'import { a,\n b } from "./a.js";\nimport "../b.js";\nconst c = await import("./c.js");\n/** @type {import("./d.js").D} */\n// import "./e.js"');
  assert.deepEqual(loads, ["x/a.js", "b.js", "x/c.js"]);
});

test("no module imports itself by way of others", () => {
  assert.deepEqual(cycles(graph), []);
});

test("what a module imports is a file of the page, named to the letter", () => {
  for (const [name, source] of sources) {
    for (const path of imports(name, source)) assert.ok(sources.has(path), `${name} imports ${path}`);
    assert.doesNotMatch(code(source), /\bimport\s*\((?!\s*["'])/, `${name}: an import that only running it can tell`);
  }
});

test("a type that a comment names is defined where it says", () => {
  for (const [name, source] of sources) {
    for (const [path, type] of types(name, source)) {
      assert.match(sources.get(path) ?? "", new RegExp(`@typedef \\{[^\\n]*\\} ${type}\\b|export class ${type}\\b`), `${name}: ${type} of ${path}`);
    }
  }
});

/** What each package may import, itself aside. */
const PACKAGES = new Map([
  ["core", []],
  ["net", ["core"]],
  ["ui", ["core"]],
  ["features", ["core", "net", "ui"]],
  ["registry.js", ["core", "features"]],
  ["main.js", ["core", "net", "ui", "features", "registry.js"]],
]);
/** The one type that leads back: what main offers to views. */
const VERBS = "main.js Verbs";
const packageOf = (/** @type {string} */ name) => name.split("/")[0];
const featureOf = (/** @type {string} */ name) => (packageOf(name) === "features" ? name.split("/")[1] : null);

test("imports lead from main to features, to net and ui, to core, and never back; nor do the types that comments name", () => {
  for (const [name, source] of sources) {
    const from = packageOf(name);
    const named = types(name, source).filter(([path, type]) => `${path} ${type}` !== VERBS || from !== "features");
    for (const path of [...imports(name, source), ...named.map(([path]) => path)]) {
      const to = packageOf(path);
      assert.ok(to === from || PACKAGES.get(from)?.includes(to), `${name} may not know ${path}`);
    }
  }
});

test("a feature that needs another is not needed by it", () => {
  const features = new Map();
  for (const [name, paths] of graph) {
    const from = featureOf(name);
    if (from === null) continue;
    const others = paths.map(featureOf).filter((to) => to !== null && to !== from);
    features.set(from, [...(features.get(from) ?? []), ...others]);
  }
  assert.deepEqual(cycles(features), []);
});

test("the core and the features' models are pure: they know no page, no network, no storage and no clock", () => {
  const world = /\b(?:document|window|navigator|location|history|fetch|EventSource|localStorage|sessionStorage|setTimeout|setInterval|requestAnimationFrame|performance|crypto|Date|addEventListener|matchMedia)\b(?=[.(])|\bMath\.random\b/;
  const pure = modules.filter((name) => packageOf(name) === "core" || name.endsWith("/model.js"));
  assert.ok(pure.length > 20);
  for (const name of pure) assert.doesNotMatch(code(/** @type {string} */ (sources.get(name))), world, name);
});
