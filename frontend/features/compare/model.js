/**
 * The second column: what it asks, and what it changes. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Comparison} Comparison
 * @typedef {import("../../core/slices_later.js").Compared} Compared
 * @typedef {import("../../core/slices_later.js").ComparedRow} Row
 * @typedef {import("../../core/slices_later.js").OtherText} OtherText
 * @typedef {import("../../core/slices.js").Trouble} Trouble
 * @typedef {import("../../net/compare.js").Side} Side
 *
 * @typedef {object} Question
 * @property {string} key
 * @property {Side} a
 * @property {Side} b
 * @property {number} topK
 * @property {boolean} own  B's text is its own and nothing has been picked after it
 */
import * as format from "../../core/format.js";
import { fits, set } from "../../core/settings.js";
import { append, edit, goTo } from "../../core/state.js";
import { answerHere, settingsHere } from "../../core/questions.js";
import { noToken, shown, spoken, textOf } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { PINS } from "../../core/words.js";
import { COMPARE } from "../../core/words_later.js";
import { choose, find } from "../models/model.js";
import { literally, namedIn, readingWords, readOther as readFirst, specialWords } from "../prompt/model.js";
import { otherChain } from "./masks.js";

const MOST_ROWS = 100; // of each side
const SENTENCE = /^[\s\S]*?[.!?…。！？]["”’)]*\s*(?=\S)/u;

/** @param {State} state @returns {string} the model of B */
export function otherModel(state) {
  return state.comparison.model ?? state.model ?? "";
}

/** @param {State} state @returns {number} the temperature of B */
export function otherTemperature(state) {
  return state.comparison.temperature ?? state.settings.temperature;
}

/** @param {State} state @returns {string} the text of A, up to the chart's position */
export function firstText(state) {
  return state.draft ?? (state.current === null ? "" : tree.text(state.tree, state.current));
}

/** @param {State} state @returns {string} the text of B, with what was picked since */
export function otherText(state) {
  const { prompt } = state.comparison;
  return prompt === null ? firstText(state) : prompt.text + textOf(tree.tokens(picked(state, prompt)));
}

/** @param {State} state @returns {import("../../core/slices_later.js").LinkedOther | null} what B asks, for a link; null while the view is not shown */
export function toLink(state) {
  const { model, temperature, prompt } = state.comparison;
  if (state.frame.view !== "compare") return null;
  const whole = { ...state, current: state.end ?? state.current, end: null }; // a link has the text to its end
  return { model, temperature, text: prompt && otherText(whole), ids: prompt && (question(whole, true)?.b.tokenIds ?? null) };
}

/** @param {State} state @returns {string} why B can't answer; empty if it can */
export function absentWords(state) {
  const name = otherModel(state);
  const found = state.models?.find((each) => each.name === name);
  if (name === "" || !state.models || found?.state === "ready") return "";
  return COMPARE.absent(format.shortName(name), found !== undefined && found.state !== "failed");
}

/** @param {State} state @returns {boolean} both columns ask the same */
export function alike(state) {
  return otherModel(state) === state.model && otherTemperature(state) === state.settings.temperature && otherText(state) === firstText(state);
}

/** @param {State} state @param {boolean} [even] even if it has failed before or a model is not ready @returns {Question | null} */
export function question(state, even = false) {
  const { model, current, settings, comparison } = state;
  if (model === null || current === null || state.draft !== null || state.dragging) return null;
  const tokenIds = tree.tokenIds(state.tree, current);
  if (tree.node(state.tree, current).model !== model) return null;
  const { topP, minP, temperature, chain } = settingsHere(state);
  const a = { model, text: null, tokenIds, temperature, topP, minP, ...(chain && { chain }) };
  const other = otherPrompt(state, tokenIds);
  const b = { ...a, model: otherModel(state), ...other, temperature: otherTemperature(state), ...(chain && { chain: otherChain(chain, tokenIds, other.tokenIds) }) };
  const ready = [a, b].map((side) => state.models?.find((each) => each.name === side.model));
  const sizes = ready.map((each) => each?.facts?.vocabSize || MOST_ROWS);
  const topK = Math.min(settings.topK, MOST_ROWS, ...sizes);
  const { prompt } = comparison;
  const asked = { a, b, topK, own: prompt !== null && !picked(state, prompt).length };
  const key = JSON.stringify([a, b, topK]);
  if (even) return { key, ...asked };
  const able = ready.every((each) => each?.state === "ready") && state.lost === null;
  return able && key !== comparison.answer?.key && key !== comparison.trouble?.key ? { key, ...asked } : null;
}

/** @param {State} state @returns {Question | null} while the view is shown */
export function wanted(state) {
  return state.frame.view === "compare" && !alike(state) ? question(state) : null;
}

/** @param {State} state @returns {Compared | null} the answer to the question of now */
export function here(state) {
  const { answer } = state.comparison;
  return answer !== null && question(state, true)?.key === answer.key ? answer : null;
}

/** @param {State} state @param {Question} asked @param {Compared} answer @returns {State} */
export function receive(state, asked, answer) {
  const { prompt } = state.comparison;
  const read = asked.own && asked.b.text !== null && prompt?.text === asked.b.text ? { model: asked.b.model, ids: answer.prompts.b.map(({ id }) => id), literal: asked.b.literal } : prompt?.read;
  const known = prompt && { ...prompt, at: prompt.at ?? state.current, read: read ?? null };
  const [one, other] = [asked.a.model, asked.b.model];
  const twins = one === other || answer.byBytes ? state.comparison.twins : JSON.stringify([one, other]);
  const next = change(state, { answer, trouble: null, prompt: known, twins });
  const now = question(next, true);
  // From now on the same text is asked by its ids; those of A may be others than those that B's text got.
  const same = asked.b.text === null || now?.b.text !== null || String(now?.b.tokenIds) === String(answer.prompts.b.map(({ id }) => id));
  return same ? change(next, { answer: { ...answer, key: now?.key ?? answer.key } }) : next;
}

/** @param {State} state @param {Trouble} trouble @returns {State} */
export function fail(state, trouble) {
  return change(state, { trouble });
}

/** @param {State} state @returns {State} */
export function retry(state) {
  return state.comparison.trouble ? change(state, { trouble: null }) : state;
}

/** @param {State} state @returns {{words: string, offer: string} | null} how names of special tokens in B's text are read, unless A's text says it */
export function otherReading(state) {
  const own = state.comparison.prompt !== null;
  const answer = here(state);
  if (!answer || (!own && question(state, true)?.b.text === null)) return null;
  const front = find(state, otherModel(state))?.facts?.prefixTokenIds?.length ?? 0;
  const named = namedIn(answer.prompts.b.slice(front), otherText(state));
  return own || specialWords(state) === null ? readingWords(named, literally(state)) : null;
}

/** @param {State} state @returns {State} with B's text read the other way, and A's if that was typed */
export function readOther(state) {
  return specialWords(state) ? readFirst(state) : change({ ...state, literal: !state.literal }, { trouble: null });
}

/** @param {State} state @param {string} name @returns {State} with that model in B */
export function chooseOther(state, name) {
  return change(state, { model: name === state.model ? null : name, trouble: null });
}

/** @param {State} state @param {number | null} temperature null: that of A @returns {State} */
export function heatOther(state, temperature) {
  return temperature === null || fits("temperature", temperature) ? change(state, { temperature, trouble: null }) : state;
}

/** @param {State} state @param {string | null} text null: that of A @returns {State} */
export function writeOther(state, text) {
  if (text !== null && text === otherText(state)) return state;
  return change(state, { prompt: text === null ? null : { text, at: state.draft === null ? state.current : null, read: null }, trouble: null });
}

/** @param {string} text @returns {string | null} without its first sentence; null if it has only one */
export function withoutSentence(text) {
  return SENTENCE.test(text) ? text.replace(SENTENCE, "") : null;
}

/** @param {State} state @returns {State} with A and B exchanged */
export function swap(state) {
  const [model, temperature, text] = [state.model, state.settings.temperature, firstText(state)];
  const [otherName, other, otherWords] = [otherModel(state), otherTemperature(state), otherText(state)];
  let next = set(state, { temperature: other });
  if (otherWords !== text) next = edit(next, otherWords);
  if (otherName !== model) next = choose(next, otherName);
  return change(next, {
    model: otherName === model ? null : model,
    temperature: other === temperature ? null : temperature,
    prompt: otherWords === text ? null : { text, at: null, read: null },
  });
}

/** @param {State} state @param {Row} row @returns {State} with its token appended to A, and so to B */
export function pick(state, { token, a }) {
  if (a === null || here(state) === null || state.current === null || noToken(token)) return state;
  const candidates = answerHere(state)?.candidates ?? [];
  const known = candidates.find((candidate) => candidate.token.id === a.id);
  if (known) return append(state, known, state.settings.temperature === 1 ? known.probability : null);
  const [grown, id] = tree.extend(state.tree, state.current, { ...token, id: a.id }, { probability: null, rank: a.rank });
  return goTo({ ...state, tree: grown }, id);
}

/** @param {Compared} compared @returns {string[]} what the numbers say, in sentences */
export function told({ js, moved, kl, overlap, unmatched, byBytes, gained, lost, prompts }) {
  const bits = (/** @type {number} */ value) => (value === Infinity ? COMPARE.infinite : format.bits(value));
  const count = overlap.length;
  const change = (/** @type {typeof PINS.gain} */ say, /** @type {Row | null} */ row) => (row ? [say(shown(row.token), (row.b?.probability ?? 0) - (row.a?.probability ?? 0))] : []);
  const largest = [...change(PINS.gain, gained), ...change(PINS.drop, lost)].join(", ");
  const marks = within(prompts.a);
  const bare = marks.length - within(prompts.b).length;
  return [
    ...(bare > 0 ? [COMPARE.bare(bare, shown(marks[0]))] : []),
    COMPARE.differs(format.points(moved).slice(1), largest),
    `Jensen–Shannon ${bits(js)}; Kullback–Leibler A to B ${bits(kl.ab)}, B to A ${bits(kl.ba)}.`,
    `${overlap.at(-1) ?? 0} of the first ${count} tokens are the same.`,
    ...(byBytes ? [`Tokens are matched by their text. Not in the other vocabulary: ${format.percent(unmatched.a)} of A, ${format.percent(unmatched.b)} of B.`] : []),
  ];
}

/** @param {readonly import("../../core/tokens.js").Token[]} prompt @returns {import("../../core/tokens.js").Token[]} its special tokens, but for those that it begins with */
function within(prompt) {
  return prompt.slice(Math.max(0, prompt.findIndex(({ special }) => !special))).filter(({ special }) => special);
}

/** @param {Row} row @returns {string} for screen readers */
export function rowWords({ token, a, b }) {
  const side = (/** @type {"a" | "b"} */ name, /** @type {typeof a} */ place) =>
    `${COMPARE.sides[name]} ${place ? `${format.percent(place.probability)}, rank ${format.count(place.rank)}` : COMPARE.none}`;
  return `${spoken(token)}; ${side("a", a)}; ${side("b", b)}`;
}

/** @param {State} state @param {OtherText} prompt @returns {tree.Node[]} what was picked in A since B got its text */
function picked(state, { at }) {
  if (at === null || state.current === null || !state.tree.nodes.has(at) || !tree.leadsTo(state.tree, at, state.current)) return [];
  return tree.path(state.tree, state.current).slice(tree.path(state.tree, at).length);
}

/** @param {State} state @param {readonly number[]} first ids of A @returns {Pick<Side, "text" | "tokenIds" | "literal">} B's prompt: as ids wherever those of its model are known */
function otherPrompt(state, first) {
  const { prompt } = state.comparison;
  const same = otherModel(state) === state.model;
  const literal = literally(state);
  const anew = { text: otherText(state), tokenIds: null, literal };
  if (prompt === null) return same || twins(state, first) ? { text: null, tokenIds: first } : anew;
  if (!same || prompt.read?.model !== state.model || (prompt.read.literal ?? literal) !== literal) return anew;
  return { text: null, tokenIds: [...prompt.read.ids, ...tree.tokens(picked(state, prompt)).map((token) => token.id)] };
}

/** @param {State} state @param {readonly number[]} ids of A @returns {boolean} B's model is known to have the same tokens */
export function twins(state, ids) {
  const size = find(state, otherModel(state))?.facts?.vocabSize ?? 0;
  return state.comparison.twins === JSON.stringify([state.model, otherModel(state)]) && ids.every((id) => id < size);
}

/** @param {State} state @param {Partial<Comparison>} changes @returns {State} */
function change(state, changes) {
  return { ...state, comparison: { ...state.comparison, ...changes } };
}
