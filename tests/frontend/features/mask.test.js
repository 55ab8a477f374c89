import assert from "node:assert/strict";
import test from "node:test";
import { asked, keyOf, samplingOf, settingsAt } from "../../../frontend/core/chain.js";
import { wanted } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import { maskWords, otherChain } from "../../../frontend/features/compare/masks.js";
import { follow, moved, placeIn } from "../../../frontend/features/samplers/follow.js";
import { faultOf, linesOf, placeOf, wireOf } from "../../../frontend/features/samplers/forms.js";
import * as mask from "../../../frontend/features/samplers/mask.js";
import * as samplers from "../../../frontend/features/samplers/model.js";
import { MASK } from "../../../frontend/features/samplers/words.js";
import { curl, python } from "../../../frontend/features/share/code.js";
import { follow as open } from "../../../frontend/features/share/link.js";
import { linkOf } from "../../../frontend/features/share/making.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { heldFrom } from "../../../frontend/net/generate.js";
import { answer, begun, pick } from "../helpers/reader.js";

const FORM = { kind: "choices", choices: "", regex: "", json_schema: "", grammar: "" };
const DOGS = { choices: [" a dog", " a cat"] };
const written = (/** @type {any} */ state) => mask.write(state, { choices: " a dog\n a cat\n" });
const fromOf = (/** @type {any} */ state) => samplers.stepOf(state, "mask").from;
const asks = (/** @type {any} */ state) => samplingOf(/** @type {any} */ (wanted(state)).settings);

test("each kind of form becomes what the server reads, and says what is wrong with it", () => {
  assert.deepEqual(wireOf({ ...FORM, choices: " a\n\nb \n a" }), { choices: [" a", "b "] });
  assert.equal(wireOf({ ...FORM, choices: "\n" }), null);
  assert.deepEqual(wireOf({ ...FORM, kind: "regex", regex: "a+ " }), { regex: "a+ " });
  assert.deepEqual(wireOf({ ...FORM, kind: "grammar", grammar: "start: /a/" }), { grammar: "start: /a/" });
  assert.deepEqual(wireOf({ ...FORM, kind: "json_schema", json_schema: '{"enum": [1]}' }), { json_schema: { enum: [1] } });
  for (const text of ["{", "[1]", "3"]) {
    const broken = { ...FORM, kind: "json_schema", json_schema: text };
    assert.equal(wireOf(broken), null);
    assert.match(faultOf(broken), text === "{" ? /^Not JSON yet: / : /is an object/);
  }
  assert.equal(faultOf({ ...FORM, regex: "a(" }), "", "the server says it");
  assert.deepEqual(linesOf("a\nb\n"), ["a", "b"]);
});

test("a mask begins where it is written, holds through clicks and undo, and is off before its place", () => {
  const state = written(begun());
  assert.equal(fromOf(state), 4);
  assert.deepEqual(asks(state), { samplers: [{ mask: DOGS }] }, "the next token is the first one");
  const plain = begun();
  const clicked = written(pick(plain, 0));
  assert.equal(fromOf(clicked), 5);
  const before = states.undo(clicked);
  assert.equal(wanted(before), null, "it doesn’t hold there, and without it the answer is known");
  assert.equal(mask.placeWords(before), MASK.later(6));
  const after = pick(answer(states.redo(before), { settings: plain.settings }), 1);
  assert.deepEqual(asks(after), { samplers: [{ mask: DOGS }], constrained_from: 5 });
  assert.match(mask.placeWords(after), /^Holds from token 6 on, /);
  assert.deepEqual(asks(mask.beginHere(after)), { samplers: [{ mask: DOGS }] });
  assert.equal(keyOf(settingsAt(after.settings, 6)) === keyOf(settingsAt(after.settings, 5)), false);
  assert.equal(asked(settingsAt(after.settings, 4)), null);
});

test("a form that is blank or no JSON is no step; switching off and on begins anew", () => {
  const state = mask.write(begun(), { kind: "json_schema", json_schema: "{" });
  assert.equal(asked(state.settings), null);
  assert.match(mask.troubleWords(state), /^Not JSON yet/);
  const off = samplers.turn(pick(written(begun()), 0), "mask", false);
  assert.equal(asked(off.settings), null);
  assert.equal(fromOf(samplers.turn(off, "mask", true)), 5);
  assert.equal(placeOf(states.edit(begun(), "Once")), null);
});

test("the place follows what is edited before it, waits at the end of what is typed, or is gone", () => {
  const text = (/** @type {number[]} */ ids, of = "a", words = String(ids)) => ({ model: of, ids, words });
  const old = text([1, 2, 3, 7, 8]);
  assert.equal(placeIn(null, old, text([1, 2]), false), 2);
  assert.equal(placeIn(3, old, text([1, 2, 3, 7, 8, 9]), true), 3, "what is typed after it is held to it");
  assert.equal(placeIn(3, old, text([1, 2, 3, 4]), true), 3, "so is what is typed over it");
  assert.equal(placeIn(3, old, text([1, 5, 6, 2, 3, 7, 8]), true), 5);
  assert.equal(placeIn(3, old, text([3, 7, 8]), true), 1);
  assert.equal(placeIn(3, old, text([7, 8]), true), 0);
  assert.equal(placeIn(3, old, text([1, 2, 4, 5, 8]), true), null);
  assert.equal(placeIn(3, old, text([9]), false), null);
  assert.equal(placeIn(3, old, text([1, 2]), false), 3, "undone: it is not gone");
  assert.equal(placeIn(3, old, text([1, 2]), true), 2, "deleted");
  assert.equal(placeIn(3, old, text([1, 2, 3, 7, 8, 4, 5]), false, [8]), 7, "it has ended, and the next turn begins");
  assert.equal(placeIn(5, old, text([1, 2, 3, 7, 8, 9]), false), 5, "clicked");
  assert.equal(placeIn(5, old, text([1, 2, 3, 7, 8, 9]), true), 6, "typed");
  assert.equal(placeIn(5, old, text([4, 4]), false), 2, "another text");
  assert.equal(placeIn(5, old, text([1, 2, 3], "b", old.words), false), 3, "another model reads the same");
  assert.equal(placeIn(3, old, text([1, 2, 3], "b", old.words), false), null);
});

test("an edit of the page moves it, and says so where it ends it", () => {
  /** @type {(() => void)[]} */
  const considering = [];
  let state = written(begun());
  const act = (/** @type {(now: any) => any} */ transition) => {
    const next = transition(state);
    if (next === state) return;
    state = next;
    for (const consider of considering) consider();
  };
  follow({ act, read: () => state, consider: (consider) => void considering.push(consider) });
  act((now) => answer(states.edit(now, "Once upon a very long time")));
  assert.equal(fromOf(state), 6);
  act(states.rest);
  act((now) => pick({ ...now, answers: answer({ ...now, settings: begun().settings, answers: new Map() }).answers }, 2));
  assert.equal(fromOf(state), 6);
  act((now) => states.edit(now, "Something else"));
  assert.equal(fromOf(state), 6, "nothing is known yet");
  act((now) => answer(now));
  assert.equal(samplers.stepOf(state, "mask").on, false);
  assert.equal(state.said, MASK.lost);
  assert.equal(mask.placeWords(state), MASK.lost);
  assert.ok(mask.canBegin(state));
  act(mask.beginHere);
  assert.equal(mask.placeWords(state), MASK.next);
  assert.equal(fromOf(state), 2);
});

test("it is saved, travels with a link, and a list from before there were masks goes on", () => {
  const state = written(pick(begun(), 0));
  assert.deepEqual(unpack(pack(state)).settings, state.settings);
  const there = open(states.initial(), /** @type {string} */ (linkOf(state)));
  assert.equal(fromOf(there), 5);
  assert.equal(moved(there, null), there, "its text has no tokens here yet");
  const old = samplers.FIRST_CHAIN.slice(1);
  const saved = JSON.parse(pack({ ...state, settings: { ...state.settings, chain: old } }));
  assert.deepEqual(samplers.chainOf(unpack(JSON.stringify(saved))), samplers.FIRST_CHAIN);
  saved.settings.chain = state.settings.chain?.map((step) => ({ ...step, ...(step.name === "mask" && { form: 3 }) }));
  assert.equal(samplers.chainOf(unpack(JSON.stringify(saved))), samplers.FIRST_CHAIN);
});

test("generating goes on from the place, and B has the same masked tokens or begins anew", () => {
  const step = samplers.made({ ...samplers.FIRST_CHAIN[0], on: true, form: { ...FORM, choices: "a" } });
  const settings = /** @type {any} */ ({ topK: 3, temperature: 1, topP: 1, minP: 0, chain: [step] });
  assert.equal(heldFrom(settings, 4).chain?.[0].from, 4);
  assert.equal(heldFrom({ ...settings, chain: [{ ...step, from: 2 }] }, 4).chain?.[0].from, 2);
  assert.equal(heldFrom({ ...settings, chain: samplers.FIRST_CHAIN }, 4).chain?.[0].from, null, "one that is off leaves a stream as it is");
  const chain = /** @type {any} */ ([{ ...step, from: 3 }]);
  const others = (/** @type {number[] | null} */ ids) => otherChain(chain, [1, 2, 3, 7, 8], ids)[0].from;
  assert.equal(others([5, 7, 8]), 1);
  assert.equal(others([1, 2, 3, 7, 8]), 3);
  assert.equal(others([8]), null);
  assert.equal(others(null), null);
  assert.match(maskWords({ a: { chain }, b: { chain: otherChain(chain, [1, 2, 3, 7], null) } }), /^The mask of B begins/);
  assert.equal(maskWords({ a: { chain }, b: { chain } }), "");
});

test("what the server says of it stands at the step, in the words of the page", () => {
  const state = written(begun("Tom had a"));
  const said = (/** @type {string} */ field, /** @type {string} */ message) => mask.troubleWords({ ...state, trouble: mask.toldOf({ key: "", code: "", again: false, field, message }) });
  assert.equal(said("samplers", "samplers: regex of mask can't be read: at 1"), "Regex of mask can't be read: at 1");
  assert.match(said("constrained_from", "constrained_from: must be from 0 to 4, and …; the token at index 3, ' the', is not"), /has “\u2068 the\u2069”, which/);
  assert.equal(said("samplers", "samplers: step 0 (mask) leaves no token that may come next"), MASK.ended);
  assert.equal(said("samplers", "samplers: step 0 (ban) leaves no token that may come next"), "");
  assert.equal(said("top_k", "top_k: no"), "");
});

test("code that reproduces the bars has the mask and where it begins", () => {
  const { settings } = written(pick(begun(), 0));
  const now = /** @type {any} */ ({ model: "tiny", typed: null, tokens: [], settings: settingsAt(settings, 6), drawing: { rows: [] } });
  assert.ok(python(now).includes('samplers=[pb.Sampler(mask=pb.Mask(choices=pb.Choices(texts=[" a dog"," a cat"])))],\n        constrained_from=5,'));
  assert.ok(curl(now, "").includes('"samplers":[{"mask":{"choices":[" a dog"," a cat"]}}],"constrained_from":5'));
});
