import assert from "node:assert/strict";
import test from "node:test";
import { othersWords } from "../../../../frontend/core/cuts.js";
import { FIRST_DISPLAY } from "../../../../frontend/core/display.js";
import { wanted } from "../../../../frontend/core/questions.js";
import { set } from "../../../../frontend/core/settings.js";
import * as states from "../../../../frontend/core/state.js";
import * as play from "../../../../frontend/features/dice/model.js";
import * as pins from "../../../../frontend/features/pins/model.js";
import { curl, python } from "../../../../frontend/features/share/code.js";
import { svg } from "../../../../frontend/features/share/picture.js";
import { snapshot, toCsv, toJson, toText } from "../../../../frontend/features/share/snapshot.js";
import { answer, begun, pick } from "../../helpers/reader.js";

const NAMES = /** @type {const} */ (["surface", "ink", "quiet", "track", "bar", "pale", "other", "pinA", "pinB", "pinC"]);
/** @param {string} light */
const palette = (light) => /** @type {import("../../../../frontend/features/share/picture.js").Palette} */ (Object.fromEntries(NAMES.map((name, at) => [name, `#${light}${light}0${at}${light}`.slice(0, 7)])));
const PALETTES = { light: palette("ee"), dark: palette("11") };

/** What is on the screen, with these as the first tokens. @param {(string | Uint8Array)[]} tokens @param {{text?: string, settings?: object}} [more] */
function screen(tokens, { text = "Once upon a time", settings = {} } = {}) {
  const asking = set(begun(text), settings);
  const state = wanted(asking) ? answer(asking) : asking;
  const { candidates } = [...state.answers.values()].at(-1);
  tokens.forEach((each, at) => (candidates[at].token = { id: 500 + at, bytes: typeof each === "string" ? new TextEncoder().encode(each) : each, special: false }));
  return snapshot(state);
}

const EVIL = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n@x", "＝1+1", ' "quoted", ', "<script>alert(1)</script>"];

/** A reader of CSV by the book. @param {string} text */
function readCsv(text) {
  /** @type {string[][]} */
  const rows = [[]];
  let at = 0;
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      for (at++; text[at] !== '"' || text[at + 1] === '"'; at++) {
        cell += text[at];
        if (text[at] === '"') at++;
      }
      at++;
    } else for (; at < text.length && !",\r".includes(text[at]); at++) cell += text[at];
    rows[rows.length - 1].push(cell);
    if (text.startsWith("\r\n", at)) {
      at += 2;
      if (at < text.length) rows.push([]);
    } else at++;
  }
  return rows;
}

test("what belongs to another text is not taken out", () => {
  assert.equal(snapshot(states.initial()), null);
  assert.equal(snapshot(states.edit(begun(), "Other")), null);
  assert.equal(snapshot(pick(begun(), 0)), null);
});

test("JSON holds every number, in the contract’s words", () => {
  const now = screen([" sea", Uint8Array.of(0xe2, 0x9c)], { settings: { topP: 0.5, topK: 40 } });
  const said = JSON.parse(toJson(now));
  assert.deepEqual([said.model, said.text, said.top_k, said.top_p, said.vocab_size, said.other_count], ["tiny", "Once upon a time", 40, 0.5, 40, 0]);
  assert.deepEqual(said.token_ids, now.tokens.map((token) => token.id));
  assert.deepEqual([said.candidates[0].text, said.candidates[0].bytes], [" sea", "IHNlYQ=="]);
  assert.deepEqual([said.candidates[1].text, said.candidates[1].bytes], [null, "4pw="]);
  assert.ok(Math.abs(said.candidates.reduce((sum, each) => sum + each.probability, 0) - 1) < 1e-9);
  assert.ok(Math.abs(said.candidates.reduce((sum, each) => sum + each.after_cut, 0) - 1) < 1e-9);
  assert.equal(said.candidates.at(-1).cut_by, "top-p");
  for (const each of said.candidates) assert.ok(Math.abs(Math.exp(each.logprob) - each.probability) < 1e-12);
});

test("CSV keeps every token whole, and none of them is a formula", () => {
  const rows = readCsv(toCsv(screen(EVIL)));
  assert.equal(rows.length, 12);
  assert.ok(rows.every((row) => row.length === rows[0].length));
  const token = rows[0].indexOf("token");
  EVIL.forEach((text, at) => {
    const cell = rows[at + 1][token];
    assert.equal(cell.replace(/^'/, ""), text);
    assert.doesNotMatch(cell, /^[=+\-@\t\r\n＝]/u);
    assert.equal(Buffer.from(rows[at + 1][token + 1].replaceAll(" ", ""), "hex").toString(), text, "the bytes are exact");
  });
  assert.match(rows.at(-1)[token], /^30 others$/);
  const shares = rows.slice(1).map((row) => Number(row[rows[0].indexOf("probability")]));
  assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-9);
});

test("CSV is tidy: a row for each side and token, with what it was asked with", () => {
  const before = pins.pin(set(begun("Tom, \"the\" cat"), { temperature: 0.5 }));
  const state = answer(set(before, { temperature: 1, topP: 0.5, minP: 0.01, topK: 4 }));
  const [header, ...rows] = readCsv(toCsv(snapshot(state)));
  assert.deepEqual(header, ["side", "model", "prompt", "temperature", "filters", "rank", "token", "bytes", "probability", "logprob", "token_id"]);
  const sides = Map.groupBy(rows.map((row) => Object.fromEntries(row.map((cell, at) => [header[at], cell]))), ({ side }) => side);
  assert.deepEqual([...sides.keys()], ["current", "A"]);
  for (const [side, temperature, filters] of [["current", "1", "top-p 0.5, min-p 0.01"], ["A", "0.5", ""]]) {
    const of = sides.get(side);
    assert.ok(of.every((row) => row.model === "tiny" && row.prompt === "Tom, \"the\" cat" && row.temperature === temperature && row.filters === filters));
    assert.ok(Math.abs(of.reduce((sum, { probability }) => sum + Number(probability), 0) - 1) < 1e-9, "with the others' row");
    for (const { probability, logprob } of of) if (Number(probability)) assert.ok(Math.abs(Math.exp(Number(logprob)) - Number(probability)) < 1e-12);
    assert.deepEqual(of.slice(0, 4).map(({ rank }) => rank), ["1", "2", "3", "4"]);
  }
  const shown = new Set(sides.get("current").map(({ token_id: id }) => id).filter(Boolean));
  assert.ok([...shown].every((id) => sides.get("A").some((row) => row.token_id === id)), "each bar has its row on every side");
});

test("JSON and text hold the pins", () => {
  const state = answer(set(pins.pin(begun("Tom & Sue")), { temperature: 0.3 }));
  const { pins: [pin] } = JSON.parse(toJson(snapshot(state)));
  assert.deepEqual([pin.name, pin.model, pin.text, pin.temperature, pin.top_p, pin.min_p], ["A", "tiny", "Tom & Sue", 1, 1, 0]);
  assert.deepEqual(pin.token_ids, snapshot(state).tokens.map(({ id }) => id));
  const was = snapshot(begun("Tom & Sue")).drawing.rows;
  pin.candidates.forEach((each, at) => assert.deepEqual([each.rank, each.token_id, each.after_cut], [at + 1, was[at].candidate.token.id, was[at].share]));
  const text = toText(snapshot(state));
  assert.match(text, /^A: Tom & Sue, tiny, temperature 1$/m);
  assert.match(text, /^ 1 .*% {2}A [\d.]+\u202f%$/m);
  assert.equal(JSON.parse(toJson(screen([]))).pins, undefined);
});

test("text stands in columns", () => {
  const lines = toText(screen([" sea", "\n\n"], { settings: { temperature: 0.7, minP: 0.3 } })).trimEnd().split("\n");
  assert.deepEqual(lines.slice(0, 3), ["Once upon a time", "", "tiny, temperature 0.7, min-p 0.3"]);
  assert.match(lines[3], /bits before top-p\/min-p: /);
  assert.match(lines[5], /^ 1 {2}·sea/);
  assert.match(lines[6], /^ 2 {2}↵↵/);
  assert.match(lines.at(-2), /removed by min-p$/);
  const ends = lines.slice(5).map((line) => [...line.slice(0, line.indexOf("%"))].length);
  assert.equal(new Set(ends).size, 1, "the percentages end in one column");
});

/** @param {string} document the tags of XML that is well formed */
function tags(document) {
  /** @type {string[]} */
  const open = [];
  /** @type {string[]} */
  const seen = [];
  const text = document.replace(/<(\/?)([a-z]+)((?:\s[\w:-]+="[^"<]*")*)\s*(\/?)>/g, (_, close, name, __, alone) => {
    if (close) assert.equal(open.pop(), name);
    else {
      seen.push(name);
      if (!alone) open.push(name);
    }
    return "";
  });
  assert.deepEqual(open, []);
  assert.doesNotMatch(text, /[<>]|&(?!(?:amp|lt|gt|quot|#39);)/);
  return seen;
}

test("the picture is SVG that holds text as text", () => {
  const hostile = [...EVIL.slice(5), "]]>", "&lt;&amp;", "\u202egnp.exe", "\ufffe\u0000\u001b", "'\"><img src=x onerror=alert(1)>"];
  for (const settings of [{}, { temperature: 0.3 }, { topP: 0.6 }, { topK: 40 }]) {
    for (const display of [FIRST_DISPLAY, { column: "logit", scale: "log" }]) {
      const now = screen(hostile, { text: "</text><script>alert(2)</script> \u202e & 'x'", settings });
      const picture = svg(now, /** @type {any} */ (display), PALETTES);
      assert.deepEqual([...new Set(tags(picture))].filter((each) => each !== "path").sort(), ["pattern", "rect", "style", "svg", "text"]);
      assert.doesNotMatch(picture, /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\u202e]|NaN|undefined|Infinity/);
      assert.ok(picture.isWellFormed());
    }
  }
});

test("the picture is as tall as it has bars, and keeps long tokens short", () => {
  const now = screen(["x".repeat(5000)]);
  const picture = svg(now, FIRST_DISPLAY, PALETTES);
  assert.ok(picture.length < 8000);
  assert.match(picture, /x{19}…/);
  assert.ok(Number(svg(screen([], { settings: { topK: 40 } }), FIRST_DISPLAY, PALETTES).match(/ height="(\d+)"/)[1]) > Number(picture.match(/ height="(\d+)"/)[1]) + 900);
});

test("the picture has the reader’s colours, or those asked for", () => {
  const now = screen([]);
  assert.match(svg(now, FIRST_DISPLAY, PALETTES), /prefers-color-scheme:dark/);
  const [light, dark] = [svg(now, FIRST_DISPLAY, PALETTES, "light"), svg(now, FIRST_DISPLAY, PALETTES, "dark")];
  for (const each of [light, dark]) assert.doesNotMatch(each, /@media/);
  assert.notEqual(light.match(/\.surface\{fill:(#\w+)/)[1], dark.match(/\.surface\{fill:(#\w+)/)[1]);
});

test("the picture shows what fell, where the cuts run, and what is pale", () => {
  for (const [settings, paths] of [[{ topP: 0.6 }, 1], [{ minP: 0.3 }, 2], [{ temperature: 0.5 }, 0], [{}, 0]]) {
    const now = screen([], { settings });
    const picture = svg(now, FIRST_DISPLAY, PALETTES);
    const fallen = now.drawing.rows.filter((row) => row.fell).length + Number(now.drawing.cutting && now.drawing.otherShare === 0);
    assert.equal(picture.match(/class="cut"/g)?.length ?? 0, fallen);
    assert.equal(picture.match(/<path class="line"/g)?.length ?? 0, paths);
    const [, pale = ""] = picture.match(/class="pale" x="32".*?\u2068(.*?)\u2069/) ?? [];
    assert.equal(pale, settings.temperature ? "before temperature" : paths ? "before top-p/min-p" : "");
  }
});

test("where filters are on, the others are those that they keep", () => {
  const names = (/** @type {object} */ settings) => svg(screen([], { settings }), FIRST_DISPLAY, PALETTES).match(/[\d,]+ others?(?: kept)?/)?.[0];
  assert.equal(names({}), "30 others");
  const { drawing } = screen([], { settings: { topP: 0.9, topK: 3 } });
  assert.equal(othersWords(drawing), `${drawing.kept.count - 3} others kept`);
  assert.equal(othersWords({ ...drawing, kept: { ...drawing.kept, count: 4 } }), "1 other kept");
  assert.equal(othersWords({ ...drawing, kept: { ...drawing.kept, count: 2 } }), "37 others", "none of which has a share");
});

test("a hundred rolls stand in the picture, over the bars and in words", () => {
  const rolled = answer(play.begin(begun(), "tally", 7));
  const picture = svg(snapshot(rolled), FIRST_DISPLAY, PALETTES);
  const counts = [...picture.matchAll(/>\u2068(\d+)×\u2069</g)].map((match) => Number(match[1]));
  assert.equal(counts.length, 11);
  assert.equal(counts.reduce((sum, count) => sum + count), 100);
  assert.match(picture, /100 rolls with seed 7: /);
  assert.doesNotMatch(svg(screen([]), FIRST_DISPLAY, PALETTES), /class="rolled"/);
});

test("pins stand in the picture: a strip under each bar, and a line that names each", () => {
  const pinned = set(pins.pin(set(pins.pin(begun("Tom & <b>")), { temperature: 1.5 })), { temperature: 1 });
  const picture = svg(snapshot(pinned), FIRST_DISPLAY, PALETTES);
  for (const name of ["A", "B"]) assert.equal(picture.match(new RegExp(`class="pin${name}"`, "g")).length, 1 + snapshot(pinned).drawing.rows.filter((row) => row.share > 0).length);
  assert.match(picture, /A: Tom &amp; &lt;b&gt; · /);
  assert.equal(svg(snapshot(pins.versus(pinned, "A")), FIRST_DISPLAY, PALETTES).match(/>\u2068±0\u2069</g).length, 10, "and how far each bar is from the one compared with");
  assert.doesNotMatch(svg(screen([]), FIRST_DISPLAY, PALETTES), /class="pin/);
});

test("the code asks what the page asked: typed text as text, picked tokens as ids, settings where they are set", () => {
  const typed = screen([]);
  assert.match(curl(typed, "http://a:1"), /"text":"Once upon a time","model":"tiny","top_k":10,"temperature":1}'/);
  const picked = snapshot(answer(pick(set(begun(), { topP: 0.8, minP: 0.1 }), 1)));
  const ids = picked.tokens.map((token) => token.id);
  assert.match(curl(picked, "http://a:1"), new RegExp(`"token_ids":\\[${ids}\\].*"top_p":0.8,"min_p":0.1}'`));
  assert.match(python(picked), new RegExp(`ids=\\[${ids.join(", ")}\\]`));
  assert.match(python(picked), /top_p=0\.8,\n +min_p=0\.1,/);
  assert.doesNotMatch(python(typed), /top_p/);
});

test("no text breaks out of the code it stands in, nor hides in it", () => {
  const text = "it's \"\\ $(id) `id` \n\u202e\u2066 ' ; rm -rf / #\u0000";
  const now = { ...screen([]), typed: text, model: "a'b\"c" };
  const shell = curl(now, "http://a:1");
  const words = [...shell.matchAll(/'((?:[^']|'\\'')*)'/g)].map((match) => match[1].replaceAll("'\\''", "'"));
  assert.deepEqual([JSON.parse(words.at(-1)).text, JSON.parse(words.at(-1)).model], [text, "a'b\"c"]);
  assert.equal(shell.split("\n").length, 4);
  for (const code of [shell, python(now)]) assert.doesNotMatch(code, /[\u0000\u202e\u2066]/);
  assert.match(python(now), /\\u202e\\u2066/);
});
