import assert from "node:assert/strict";
import test from "node:test";
import { toBase64 } from "../../../../frontend/core/base64.js";
import { receive } from "../../../../frontend/core/outcomes.js";
import { wanted } from "../../../../frontend/core/questions.js";
import * as settings from "../../../../frontend/core/settings.js";
import * as states from "../../../../frontend/core/state.js";
import * as tree from "../../../../frontend/core/tree.js";
import { chooseView } from "../../../../frontend/core/frame.js";
import * as compare from "../../../../frontend/features/compare/model.js";
import { choose, setModels } from "../../../../frontend/features/models/model.js";
import { failPin, missingWords, receivePin, retryPins, wantedPin } from "../../../../frontend/features/pins/linked.js";
import * as pins from "../../../../frontend/features/pins/model.js";
import { LONGEST_LINK, follow, isLink, linkWords, readLink } from "../../../../frontend/features/share/link.js";
import { linkOf } from "../../../../frontend/features/share/making.js";
import { readAnswer } from "../../../../frontend/net/wire.js";
import { wireAnswer, wireToken } from "../../helpers/answers.js";
import { VALUES, answer, begun, model, news, pick } from "../../helpers/reader.js";

/** @param {unknown} said */
const fragment = (said) => `#ntv=${toBase64(new TextEncoder().encode(typeof said === "string" ? said : JSON.stringify(said)))}`;
const good = { version: 1, model: "tiny", text: "Hi ✓", ids: [1, 2], settings: { topK: 7, temperature: 0.4, topP: 0.9, minP: 0.02 } };
/** @param {states.State} state */
const ids = (state) => tree.tokenIds(state.tree, state.current);

/** The server reads back the tokens a link named. @param {states.State} state @param {string[]} words */
function readBack(state, words) {
  const question = wanted(state);
  assert.deepEqual([question.text, question.whole], [null, true]);
  const tokens = question.tokenIds.map((id, at) => wireToken(id, words[at]));
  return receive(state, question, readAnswer(wireAnswer(VALUES, { ...question.settings, tokens, model: question.model }), { ...question, ...question.settings }));
}

test("a link brings back text, tokens, settings and model, on a page that never saw them", () => {
  const here = settings.set(answer(pick(begun(), 2)), { temperature: 0.35, topK: 6, topP: 0.8, minP: 0.01 });
  const link = linkOf(here);
  assert.match(link, /^#ntv=[\w-]+$/);
  const fresh = setModels(states.initial(), news(model("tiny", "ready", { is_default: true })), 0);
  const words = tree.tokens(tree.path(here.tree, here.current)).map((token) => new TextDecoder().decode(token.bytes));
  const there = readBack(follow(fresh, link), words);
  assert.deepEqual(ids(there), ids(here));
  assert.equal(states.textHere(there), states.textHere(here));
  assert.deepEqual(there.settings, here.settings);
  assert.deepEqual([there.model, there.linked, linkWords(there)], ["tiny", null, ""]);
});

test("the text shown is that of the tokens, whatever the link says of it", () => {
  const there = readBack(follow(begun(), fragment({ ...good, text: "Innocent" })), ["Some", " thing"]);
  assert.equal(states.textHere(there), "Some thing");
});

test("what was there before is one undo away", () => {
  const before = begun();
  const there = readBack(follow(before, fragment(good)), ["Hi", " ✓"]);
  assert.equal(states.textHere(states.undo(there)), "Once upon a time");
  const typing = readBack(follow(states.edit(before, "Once upon a time, unasked"), fragment(good)), ["Hi", " ✓"]);
  assert.equal(states.undo(states.undo(typing)).draft, "Once upon a time, unasked", "also what had no answer yet");
});

test("a text that had no answer yet is linked as text", () => {
  const state = states.edit(begun(), "No answer");
  const { text, ids: none } = readLink(linkOf(state));
  assert.deepEqual([text, none], ["No answer", null]);
  assert.equal(wanted(follow(begun(), linkOf(state))).text, "No answer");
});

test("a model that this server does not offer is said in words, and the text read by the one that is", () => {
  const there = follow(begun(), fragment({ ...good, model: "acme/Huge-7B" }));
  assert.match(linkWords(there), /made with \u2068Huge-7B\u2069, which this server does not offer\. tiny re-tokenizes its text/);
  const read = answer(there);
  assert.equal(states.textHere(read), "Hi ✓");
  assert.match(linkWords(read), /does not offer/);
  assert.equal(linkWords(states.edit(read, "Hi ✓ and on")), "", "the note goes when the text does");
});

test("a model that is still loading speaks as soon as it can, of the very tokens", () => {
  const offered = [model("tiny", "ready", { is_default: true }), model("big", "loading")];
  const there = follow(setModels(begun(), news(...offered), 0), fragment({ ...good, model: "big" }));
  assert.match(linkWords(there), /not ready yet/);
  const read = answer(there);
  assert.equal(read.model, "tiny");
  const ready = setModels(read, news(offered[0], model("big")), 1);
  assert.equal(ready.model, "big");
  assert.deepEqual(ids(readBack(ready, ["Hi", " ✓"])), [1, 2]);
});

test("choosing a model by hand ends the link", () => {
  const there = answer(follow(begun(), fragment({ ...good, model: "gone" })));
  assert.equal(linkWords(choose(there, "tiny")), "");
});

test("an undo to another text never asks for the link’s tokens", () => {
  const typing = states.edit(states.edit(begun(), "One"), "One two");
  const there = follow(typing, fragment(good));
  const undone = states.undo(there);
  assert.equal(undone.linked, null);
});

/** @type {[string, unknown, RegExp][]} */
const BAD = [
  ["no base64", "#ntv=§§§", /missing or changed/],
  ["cut short", fragment(good).slice(0, -9), /missing or changed/],
  ["no JSON", fragment("{"), /missing or changed/],
  ["no UTF-8", `#ntv=${toBase64(Uint8Array.of(0x22, 0xff, 0x22))}`, /missing or changed/],
  ["nothing", "#ntv=", /missing or changed/],
  ["a number", fragment(7), /no settings/],
  ["null", fragment("null"), /no settings/],
  ["another version", fragment({ ...good, version: 2 }), /another version/],
  ["a text that is none", fragment({ ...good, text: ["x"] }), /text is invalid/],
  ["half a character", fragment('{"version":1,"text":"\\ud83d","ids":null,"model":null}'), /text is invalid/],
  ["a model that is an object", fragment({ ...good, model: {} }), /no name/],
  ["a model’s name without end", fragment({ ...good, model: "x".repeat(2000) }), /no name/],
  ["ids as text", fragment({ ...good, ids: "1,2" }), /no token ids/],
  ["an id below zero", fragment({ ...good, ids: [1, -1] }), /no token ids/],
  ["half an id", fragment({ ...good, ids: [1.5] }), /no token ids/],
  ["an id beyond the wire", fragment({ ...good, ids: [2 ** 31] }), /no token ids/],
  ["ids of no model", fragment({ ...good, model: null }), /no token ids/],
  ["a temperature out of range", fragment({ ...good, settings: { ...good.settings, temperature: 1e9 } }), /temperature is not a number from 0 to 100/],
  ["no top-k", fragment({ ...good, settings: { ...good.settings, topK: undefined } }), /topK/],
  ["no settings", fragment({ ...good, settings: null }), /topK/],
  ["a comparison that is a number", fragment({ ...good, other: 7, text: 7 }), /text is invalid/],
  ["a comparison with a temperature out of range", fragment({ ...good, other: { temperature: 1e9 } }), /compares is invalid/],
  ["a comparison with ids of no text", fragment({ ...good, other: { ids: [1] } }), /compares is invalid/],
  ["a comparison with half a character", fragment('{"version":1,"text":"","ids":null,"model":null,"settings":{"topK":7,"temperature":0.4,"topP":0.9,"minP":0.02},"other":{"text":"\\ud83d"}}'), /compares is invalid/],
  ["a comparison with a model that is an object", fragment({ ...good, other: { model: {} } }), /compares is invalid/],
  ["without end", fragment({ ...good, text: "x".repeat(LONGEST_LINK) }), /longer than any/],
];
for (const [name, hash, words] of BAD) {
  test(`refused in words, and the page stays as it was: ${name}`, () => {
    const state = begun();
    const after = follow(state, /** @type {string} */ (hash));
    assert.match(after.linkTrouble, words);
    assert.deepEqual({ ...after, linkTrouble: null }, state);
    assert.match(linkWords(after), /can’t be opened/);
    assert.equal(states.edit(after, "go on").linkTrouble, null);
  });
}

test("an address with another fragment, or none, is no link", () => {
  for (const other of ["", "#", "#chart", "#NTV=abc", "ntv=abc"]) {
    assert.ok(!isLink(other));
    assert.equal(readLink(other), null);
  }
  const state = begun();
  assert.equal(follow(state, "#chart"), state);
});

test("what a link says beyond its fields is not taken in", () => {
  const there = follow(begun(), fragment({ ...good, lost: "x", settings: { ...good.settings, evil: 1 }, __proto__: { a: 1 } }));
  assert.deepEqual(Object.keys(there.settings), ["topK", "temperature", "topP", "minP"]);
  assert.equal(there.lost, null);
});

test("a text too long for a link has none", () => {
  assert.equal(linkOf(states.edit(begun(), "x".repeat(LONGEST_LINK))), null);
});

test("a link carries the pins, whose numbers are asked anew", () => {
  const pinned = pins.versus(pins.pin(answer(settings.set(answer(pick(pins.pin(settings.set(begun(), { temperature: 0.5 })), 1)), { temperature: 1.2 }))), "A");
  const fresh = setModels(states.initial(), news(model("tiny", "ready", { is_default: true })), 0);
  let there = follow(fresh, linkOf(pinned));
  assert.deepEqual(there.pins.map(({ name, cells }) => [name, cells.length]), [["A", 0], ["B", 0]]);
  assert.equal(missingWords(there, there.pins[0]), "loading…");
  for (const name of ["A", "B"]) {
    const question = wantedPin(there);
    assert.deepEqual(question.tokenIds, pins.idsOf(pinned.pins.find((pin) => pin.name === name)));
    const tokens = question.tokenIds.map((id) => wireToken(id, id < 40 ? ` w${id}` : ` word${id}`));
    const json = wireAnswer(VALUES, { ...question.settings, tokens, model: question.model });
    there = receivePin(there, question, readAnswer(json, { ...question, ...question.settings }));
  }
  assert.equal(wantedPin(there), null);
  assert.equal(there.versus, "A");
  there.pins.forEach((pin, at) => {
    const { cells, entropyBits, settings: set } = pinned.pins[at];
    assert.deepEqual([pin.settings, missingWords(there, pin)], [set, ""]);
    assert.ok(Math.abs(pin.entropyBits - entropyBits) < 1e-6);
    cells.forEach(({ share }, rank) => assert.ok(Math.abs(pin.cells[rank].share - share) < 1e-6));
    assert.match(pin.prompt, /^ word\d+/);
  });
});

test("a link made in Compare carries B, with the tokens it asks, and leads there", () => {
  const fresh = setModels(states.initial(), news(model("tiny", "ready", { is_default: true })), 0);
  let here = compare.heatOther(compare.writeOther(chooseView(begun("One day"), "compare"), "Then there"), 0.5);
  here = { ...here, comparison: { ...here.comparison, prompt: { text: "Then there", at: here.current, read: { model: "tiny", ids: [7, 8] } } } };
  here = answer(pick(here, 1));
  assert.equal(readLink(linkOf(here, compare.toLink(chooseView(here, "bars")))).other, null);
  let there = follow(fresh, linkOf(here, compare.toLink(here)));
  assert.equal(there.frame.view, "compare");
  there = readBack(there, ["One", " day", " w3"]);
  assert.deepEqual([compare.otherModel(there), compare.otherTemperature(there), compare.otherText(there)], ["tiny", 0.5, compare.otherText(here)]);
  const [asked, before] = [there, here].map((state) => compare.wanted(state));
  assert.deepEqual(asked.b, before.b);
  assert.equal(asked.b.tokenIds.length, 3);
  const bare = follow(fresh, linkOf(here, compare.toLink(compare.writeOther(here, null))));
  assert.deepEqual([bare.comparison.prompt, bare.comparison.temperature, bare.frame.view], [null, 0.5, "compare"]);
  const gone = answer(follow(fresh, fragment({ ...good, other: { model: "acme/Huge" } })));
  assert.match(compare.absentWords(gone), /Huge, the model of B, is not on this server/);
});

test("a pin that cannot be had says why, and nothing in a link makes it up", () => {
  const pin = { name: "B", model: "tiny", ids: [1, 2], settings: good.settings };
  const there = follow(begun(), fragment({ ...good, pins: [{ ...pin, model: "elsewhere" }], versus: "B" }));
  assert.equal(missingWords(there, there.pins[0]), "its model is not on this server");
  assert.equal(wantedPin(there), null);
  const asked = follow(begun(), fragment({ ...good, pins: [{ ...pin, cells: [{ id: 1, share: 1 }], text: "Innocent" }] }));
  assert.deepEqual([asked.pins[0].cells, asked.pins[0].text], [[], ""]);
  const failed = failPin(asked, { key: wantedPin(asked).key, message: "token_ids: must be ids", code: "invalid_argument", field: "token_ids", again: false });
  assert.deepEqual([missingWords(failed, failed.pins[0]), wantedPin(failed)], ["token_ids: must be ids", null]);
  assert.notEqual(wantedPin(retryPins(failed)), null);
  const bad = [7, {}, [pin, pin], [{ ...pin, name: "D" }], [{ ...pin, model: "" }], [{ ...pin, ids: [-1] }], [{ ...pin, ids: null }], [null], [pin, pin, pin, pin]];
  for (const pins_ of bad) assert.match(follow(begun(), fragment({ ...good, pins: pins_ })).linkTrouble, /its pins are invalid/, JSON.stringify(pins_));
  assert.match(follow(begun(), fragment({ ...good, pins: [{ ...pin, settings: { ...good.settings, topP: 2 } }] })).linkTrouble, /its topP/);
  assert.deepEqual(follow(pins.pin(begun()), fragment(good)).pins.map(({ name }) => name), ["A"], "a link without pins leaves them");
});
