import assert from "node:assert/strict";
import test from "node:test";
import { talking } from "../../../frontend/core/chat.js";
import { chooseSurface } from "../../../frontend/core/frame.js";
import { look } from "../../../frontend/core/lookback.js";
import { wanted } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import { textOf } from "../../../frontend/core/tokens.js";
import * as tree from "../../../frontend/core/tree.js";
import * as chat from "../../../frontend/features/chat/model.js";
import { readOther, specialWords } from "../../../frontend/features/chat/reading.js";
import { follow } from "../../../frontend/features/chat/surface.js";
import { STARTERS, start } from "../../../frontend/features/examples/model.js";
import { setModels } from "../../../frontend/features/models/model.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { readChat } from "../../../frontend/net/chat.js";
import { BadAnswer } from "../../../frontend/net/wire.js";
import { wireToken } from "../helpers/answers.js";
import * as reader from "../helpers/reader.js";
import { begun, factsOf, model, news } from "../helpers/reader.js";

const [BOS, START, END] = [3000, 3001, 3002];

/** What a server with a template in ChatML's manner sends: a word is a token. @param {chat.ChatQuestion} question */
function wire({ model: name, turns, open }) {
  const id = (/** @type {string} */ text) => 2000 + [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 900, 7);
  const part = (/** @type {string} */ text, /** @type {number | null} */ message, is_content = false) => ({ ...wireToken(id(text), text), message, role: "", is_content });
  const mark = (/** @type {number} */ token, /** @type {string} */ text, /** @type {number | null} */ message) => ({ ...wireToken(token, text, true), message, role: "", is_content: false });
  const words = (/** @type {string} */ text) => text.match(/\s*\S+\s*$|\s*\S+/g) ?? [];
  const tokens = [mark(BOS, "<bos>", null)];
  turns.forEach(({ role, content }, at) => {
    tokens.push(mark(START, "<start>", at), part(`${role}\n`, at), ...words(content).map((word) => part(word, at, true)));
    if (!open || at < turns.length - 1) tokens.push(mark(END, "<end>", at), part("\n", at));
  });
  if (!open) tokens.push(mark(START, "<start>", turns.length), part("assistant\n", turns.length));
  return { model: name, tokens };
}

/** @param {states.State} state */
const answer = (state) => (wanted(state) ? reader.answer(state) : state);
/** @param {states.State} state @param {number} index */
const pick = (state, index) => answer(reader.pick(state, index));

/** The server's part. @param {states.State} state */
function rendered(state) {
  const asked = chat.wanted(state);
  assert.ok(asked, "no conversation was asked for");
  return answer(chat.receive(state, asked, readChat(wire(asked), asked)));
}
const open = (text = "Hi there") => rendered(follow(chooseSurface(begun(text), "chat")));
/** @param {states.State} state */
const said = (state) => chat.blocks(state).map(({ role, open: last, nodes }) => [role, last, textOf(tree.tokens(nodes.filter(({ content }) => content).map(({ node }) => node)))]);
/** @param {states.State} state */
const ids = (state) => tree.tokenIds(state.tree, /** @type {number} */ (states.ending(state)));

test("the text becomes the first message, and what is picked the assistant's turn", () => {
  let state = open("Hi there");
  assert.deepEqual(said(state), [[null, false, ""], ["user", false, "Hi there"], ["assistant", true, ""]]);
  state = pick(pick(state, 0), 1);
  const own = ids(state).slice(-2);
  assert.equal(said(state).at(-1)?.[2], textOf(tree.tokens(tree.path(state.tree, state.current).slice(-2))));
  assert.equal(chat.here(state)?.own.length, 2);
  assert.deepEqual(chat.here(states.undo(state))?.own.map(({ token }) => token?.id), own.slice(0, 1));
});

test("a reply closes the turn and keeps the tokens that were picked", () => {
  const state = pick(pick(open(), 0), 1);
  const picked = ids(state).slice(-2);
  const next = chat.reply(state);
  assert.equal(states.append(next, /** @type {any} */ ({}), null), next, "bars of another text take no click");
  assert.deepEqual(chat.turnsOf(next).map(({ role }) => role), ["user", "assistant", "user"]);
  const typed = rendered(chat.change(next, 2, { content: "Why though" }));
  const at = ids(typed).indexOf(picked[0]);
  assert.deepEqual(ids(typed).slice(at, at + 2), picked);
  assert.deepEqual(said(typed).map(([role]) => role), [null, "user", "assistant", "user", "assistant"]);
  assert.equal(ids(typed).filter((id) => id === BOS).length, 1);
});

test("an ended turn is closed without its end twice", () => {
  let state = open();
  const [all, at] = tree.extendAll(state.tree, /** @type {number} */ (state.current), [{ id: 2001, bytes: new TextEncoder().encode("Yes"), special: false }, { id: END, bytes: new TextEncoder().encode("<end>"), special: true }]);
  state = answer(states.goTo({ ...state, tree: all }, at));
  const next = rendered(chat.reply(state));
  assert.deepEqual(chat.turnsOf(next)[1].content, "Yes");
  assert.equal(ids(next).filter((id) => id === END).length, 3);
});

test("an earlier message can change, and what was picked after it stays", () => {
  const state = pick(open("One"), 0);
  const tail = ids(state).at(-1);
  const changed = rendered(chat.change(state, 0, { content: "Two" }));
  assert.deepEqual([chat.turnsOf(changed)[0].content, ids(changed).at(-1)], ["Two", tail]);
  assert.deepEqual(said(states.undo(changed))[1], ["user", false, "One"]);
  assert.deepEqual(said(states.redo(states.undo(changed)))[1], ["user", false, "Two"]);
});

test("typing is one undo step, whatever was asked in between", () => {
  let state = open("One");
  const before = state.past.length;
  for (const content of ["One t", "One two", "One two three"]) state = rendered(chat.change(state, 0, { content }, true));
  assert.equal(state.past.length, before + 1);
  assert.equal(said(states.undo(state))[1][2], "One");
  state = rendered(chat.change(chat.settle(state), 0, { content: "Four" }, true));
  assert.equal(said(states.undo(state))[1][2], "One two three");
});

test("messages can be added, removed and change their role", () => {
  let state = rendered(chat.instruct(open("One")));
  state = rendered(chat.change(state, 0, { content: "Be kind" }));
  assert.deepEqual(said(state).slice(1, 3), [["system", false, "Be kind"], ["user", false, "One"]]);
  state = rendered(chat.change(state, 0, { role: "assistant" }));
  assert.equal(said(state)[1][0], "assistant");
  state = rendered(chat.remove(state, 0));
  assert.deepEqual(said(state)[1], ["user", false, "One"]);
  state = rendered(chat.remove(state, 0));
  assert.deepEqual(said(state)[1], ["user", false, ""]);
});

test("the open turn can be written in part, and goes on", () => {
  const picked = pick(open(), 0);
  let state = rendered(chat.rewrite(picked));
  assert.equal(chat.turnsOf(state).at(-1)?.role, "assistant");
  assert.equal(ids(state).at(-1), ids(picked).at(-1));
  state = pick(rendered(chat.change(state, 1, { content: "Well" })), 0);
  assert.match(String(said(state).at(-1)?.[2]), /^Well w/);
  assert.deepEqual(said(state).at(-1)?.slice(0, 2), ["assistant", true]);
  const next = chat.reply(state);
  assert.match(chat.turnsOf(next)[1].content, /^Well w/);
  assert.equal(said(chat.clear(state)).at(-1)?.[2], "Well");
});

test("switching between text and conversation loses nothing", () => {
  const text = pick(begun("My text"), 0);
  const before = ids(text);
  let state = pick(rendered(follow(chooseSurface(text, "chat"))), 0);
  const talk = ids(state);
  state = follow(chooseSurface(state, "text"));
  assert.deepEqual([ids(state), state.draft], [before, null]);
  state = follow(chooseSurface(answer(state), "chat"));
  assert.deepEqual(ids(state), talk);
  assert.equal(chat.wanted(state), null);
});

test("a draft of either waits where it was left", () => {
  let state = follow(chooseSurface(states.edit(begun("My text"), "My text and more"), "chat"));
  assert.equal(chat.turnsOf(state)[0].content, "My text and more");
  state = chat.change(state, 0, { content: "Changed" });
  state = follow(chooseSurface(state, "text"));
  assert.deepEqual([state.draft, talking(state)], ["My text and more", false]);
  state = follow(chooseSurface(state, "chat"));
  assert.deepEqual([chat.turnsOf(state)[0].content, talking(state)], ["Changed", true]);
});

test("undo and examples lead from a conversation to a text, and the surface follows", () => {
  const state = open("Hi");
  const back = follow(states.undo(state));
  assert.deepEqual([back.frame.surface, states.textHere(back)], ["text", "Hi"]);
  const other = follow(start(state, STARTERS[1]));
  assert.deepEqual([other.frame.surface, other.draft], ["text", STARTERS[1].text]);
  const talk = STARTERS.find(({ turns }) => turns?.length === 3);
  assert.equal(follow(chooseSurface(follow(start(begun("x"), /** @type {any} */ (talk))), "text")).draft, null, "the text waits");
  const begunTalk = rendered(follow(start(begun("x"), /** @type {any} */ (talk))));
  assert.deepEqual(said(begunTalk).map(([role]) => role), [null, "user", "assistant", "user", "assistant"]);
});

test("another model gets the same words, and a model without a template none", () => {
  let state = pick(open("Hi"), 0);
  const words = String(said(state).at(-1)?.[2]);
  const both = (/** @type {string} */ refusal) => news(model("tiny", "ready", { facts: factsOf(), is_default: true }), model("other", "ready", { facts: factsOf({ chat_refusal: refusal }) }));
  const switched = (/** @type {string} */ refusal) => {
    const known = setModels(state, both(refusal), 0);
    return follow({ ...known, model: "other", draft: states.textHere(known), base: known.current });
  };
  const there = switched("");
  assert.deepEqual(chat.turnsOf(there).map(({ role, content }) => [role, content]), [["user", "Hi"], ["assistant", words]]);
  assert.equal(chat.wanted(there)?.open, true);
  const refused = switched("this model has no chat template; send text");
  assert.equal(chat.refusal(refused), "this model has no chat template; send text");
  assert.equal(chat.wanted(refused), null);
});

test("looking back does not leave the conversation, and the last token of the template is not taken back", () => {
  const state = pick(open("Hi"), 0);
  const looking = look(state, /** @type {number} */ (states.ending(state)));
  assert.equal(follow(looking), looking);
  assert.deepEqual(said(looking), said(state));
  const base = states.undo(state);
  assert.equal(states.takeBack(base), base);
});

test("a reload keeps conversations, and ignores what is none", () => {
  const state = pick(open("Hi"), 0);
  const back = follow(setModels(unpack(pack(state)), news(model("tiny", "ready", { facts: factsOf(), is_default: true })), 0));
  assert.deepEqual(said(back), said(state));
  const saved = JSON.parse(pack(state));
  for (const bad of [5, { talks: 5 }, { talks: [{ id: 999, turns: [], parts: [] }] }, { talks: [{ id: state.current, turns: [{ role: "cook", content: "" }] }], asked: { turns: "x" } }]) {
    assert.equal(unpack(JSON.stringify({ ...saved, chat: bad })).chat.talks.size, 0);
  }
});

test("the tokens picked in a closed turn survive a reload, and what is awaited with them", () => {
  const state = pick(pick(open(), 0), 1);
  const picked = ids(state).slice(-2);
  const reload = (/** @type {states.State} */ left) => follow(setModels(unpack(pack(left)), news(model("tiny", "ready", { facts: factsOf(), is_default: true })), 0));
  const replied = reload(chat.change(chat.reply(state), 2, { content: "Why" }));
  const kept = (/** @type {states.State} */ now) => ids(now).slice(ids(now).indexOf(picked[0])).slice(0, 2);
  assert.deepEqual(kept(rendered(replied)), picked);
  const later = reload(rendered(replied));
  assert.deepEqual(kept(rendered(chat.change(later, 2, { content: "Why though" }))), picked);
  const waiting = reload(chat.change(state, 0, { content: "Hello" }));
  assert.deepEqual(ids(rendered(waiting)).slice(-2), picked, "the open turn's, while the template is awaited");
  const saved = JSON.parse(pack(replied));
  for (const bad of [7, [{ id: -1, bytes: "" }], [{ id: 1, bytes: "%" }]]) {
    saved.chat.asked.turns[1].tokens = bad;
    assert.equal(unpack(JSON.stringify(saved)).chat.asked?.turns[1].tokens, null);
  }
});

test("a refusal is told, and asked again once the conversation changes", () => {
  const state = follow(chooseSurface(begun("Hi"), "chat"));
  const asked = chat.wanted(state);
  const failed = chat.fail(state, { key: /** @type {any} */ (asked).key, message: "messages: no", code: "invalid_argument", field: "messages", again: false });
  assert.equal(chat.wanted(failed), null);
  assert.ok(chat.wanted(chat.retry(failed)));
  assert.ok(chat.wanted(chat.change(failed, 0, { content: "Other" })));
});

test("an answer that breaks the contract is refused", () => {
  const asked = { key: "", model: "tiny", turns: /** @type {any} */ ([{ role: "user", content: "Hi" }]), open: false };
  const good = wire(asked);
  assert.equal(readChat(good, asked).length, good.tokens.length);
  for (const bad of [undefined, { ...good, model: "other" }, { ...good, tokens: [] }, { ...good, tokens: [{ ...good.tokens[0], message: 2 }] }, { ...good, tokens: [{ ...good.tokens[0], bytes: "%" }] }]) {
    assert.throws(() => readChat(bad, asked), BadAnswer);
  }
});

test("a special token that a message names is pointed out, and the conversation can be read as plain characters and back", () => {
  let state = pick(open("Say <end>"), 0);
  const asking = chat.change(state, 0, { content: "Say <end> now" });
  const asked = /** @type {chat.ChatQuestion} */ (chat.wanted(asking));
  const tokens = wire(asked).tokens.map((/** @type {any} */ each) => (each.text === " <end>" ? { ...wireToken(END, "<end>", true), message: 0, role: "", is_content: true } : each));
  state = answer(chat.receive(asking, asked, readChat({ model: asked.model, tokens }, asked)));
  assert.deepEqual(specialWords(state), { words: "“\u2068<end>\u2069” is a special token here, not text.", offer: "Read it as plain characters" });
  const plain = readOther(state);
  assert.deepEqual([asked.literal, chat.wanted(plain)?.literal, chat.wanted(plain)?.turns], [false, true, asked.turns]);
  const read = rendered(plain);
  assert.equal(ids(read).at(-1), ids(state).at(-1), "what was picked stays");
  assert.deepEqual([read, states.undo(read)].map((each) => specialWords(each)?.offer), ["Read them as special tokens", "Read it as plain characters"]);
  assert.deepEqual([readOther(read).literal, readOther(states.undo(read)).literal], [false, true]);
});
