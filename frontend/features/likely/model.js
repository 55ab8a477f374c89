/**
 * “How likely is …?”: the probability and rank of any text as the next tokens. Pure.
 *
 * The text is tokenized after an anchor character that stays a separate token, so the result does not depend on the prompt.
 * Each token is then looked up after the ones before it.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Question} Question
 * @typedef {import("../../core/tokens.js").Token} Token
 * @typedef {import("../../core/distribution.js").Answer} Answer
 * @typedef {import("../../core/slices.js").Lookup} Lookup
 * @typedef {import("../../core/slices.js").Spelling} Spelling
 *
 * @typedef {object} Step
 * @property {Token} token
 * @property {number | null} probability  at the current temperature, before filters; with sampler steps, after all of them; null while awaited
 * @property {number | null} rank
 * @property {number | null} raw  before all sampler steps; null without them
 * @property {string | null} fell  the step that removed it
 *
 * @typedef {object} Chance
 * @property {string} text  as it is looked up
 * @property {readonly Step[] | null} steps  null until tokenized
 * @property {number | null} logprob  of all its tokens in sequence; null while one is awaited
 * @property {string} note  a remark, or empty
 * @property {boolean} cut  its first token is removed by a filter
 * @property {number | null} raw  its log-probability before all sampler steps, as far as they leave it; null without them
 * @property {string | null} fell  the sampler step that removes one of its tokens
 */
import { asked, keyOf, settingsAt } from "../../core/chain.js";
import { pointAt, shareAt } from "../../core/distribution.js";
import { showing } from "../../core/frame.js";
import { scene, wanted } from "../../core/questions.js";
import { MOST_TYPED } from "../../core/settings.js";
import { answerKey } from "../../core/state.js";
import { textOf } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { NUMBERS } from "../../core/words_later.js";

const MOST_TOKENS = 24;
const MOST_KEPT = 500;
const BEHIND = ["\n", ".", "a"];
const LOOK = { topK: 1, topP: 1, minP: 0 };

/** @param {State} state @param {string} typed @returns {State} */
export function ask(state, typed) {
  return { ...state, likely: typed.slice(0, MOST_TYPED).toWellFormed(), probeTrouble: null };
}

/** @param {string} typed @returns {string[]} the variants to look up: as typed, with or without a leading space, with line breaks */
export function variants(typed) {
  const meant = typed.replace(/\\n/g, "\n").replace(/\\t/g, "\t");
  const blank = /^ /.test(typed) ? typed.slice(1) : /^\S/.test(typed) && meant === typed ? ` ${typed}` : "";
  return [...new Set([meant, blank, typed])].filter(Boolean);
}

/** @param {State} state @returns {Chance[]} one per variant */
export function chances(state) {
  const place = placeOf(state);
  return place ? variants(state.likely).map((text) => chance(state, place, text)) : [];
}

/** @param {State} state @returns {Question | null} the next request, or null */
export function nextProbe(state) {
  const place = showing(state, "numbers") && state.likely && !state.dragging && state.lost === null ? placeOf(state) : null;
  const ready = state.models?.find((each) => each.name === place?.model)?.state === "ready";
  if (!place || !ready || wanted(state) !== null) return null;
  const { model, ids } = place;
  const texts = variants(state.likely);
  for (const text of texts) {
    const key = spellingKey(model, text);
    const spelling = state.spellings.has(key) ? state.spellings.get(key) : 0;
    if (typeof spelling === "number") return probe(state, { model, text: BEHIND[spelling] + text, tokenIds: null, watch: [] });
  }
  const spelled = texts.map((text) => state.spellings.get(spellingKey(model, text))).filter(Array.isArray);
  for (const tokens of spelled.filter(({ length }) => length <= MOST_TOKENS)) {
    for (let at = 0; at < tokens.length; at++) {
      const before = [...ids, ...tokens.slice(0, at).map((token) => token.id)];
      const known = stepOf(state, model, before, tokens[at]);
      if (known.fell !== null) break; // nothing comes after it
      if (known.probability !== null) continue;
      const watch = at ? [tokens[at].id] : [...new Set(spelled.map(([first]) => first.id))];
      return probe(state, { model, text: null, tokenIds: before, watch });
    }
  }
  return null;
}

/** @param {State} state @param {Question} question @param {Answer} answer @returns {State} */
export function tell(state, question, answer) {
  if (question.text !== null) {
    const text = question.text.slice(1);
    const key = spellingKey(question.model, text);
    const tried = state.spellings.get(key);
    return { ...state, spellings: latest(state.spellings, [[key, spellingOf(question.text, answer.promptTokens, Number(tried ?? 0))]]) };
  }
  const { temperature, partition } = answer;
  const lookups = answer.watched.map((candidate) => /** @type {[string, Lookup]} */ ([
    lookupKey(question.model, question.tokenIds ?? [], candidate.token.id, question.settings),
    { candidate, temperature, partition },
  ]));
  return { ...state, lookups: latest(state.lookups, lookups), probeTrouble: null };
}

/** @param {State} state @param {import("../../core/state.js").Trouble | null} trouble @returns {State} */
export function failProbe(state, trouble) {
  return { ...state, probeTrouble: trouble };
}

/** @param {State} state @returns {{model: string, ids: number[]} | null} the prompt; null while the text has no answer */
function placeOf(state) {
  if (state.current === null || state.draft !== null) return null;
  return { model: tree.node(state.tree, state.current).model, ids: tree.tokenIds(state.tree, state.current) };
}

/** @param {State} state @param {{model: string, ids: number[]}} place @param {string} text @returns {Chance} */
function chance(state, { model, ids }, text) {
  const tokens = state.spellings.get(spellingKey(model, text));
  const blank = { text, steps: null, logprob: null, note: "", cut: false, raw: null, fell: null };
  if (tokens === undefined || typeof tokens === "number") return blank;
  if (tokens === null) return { ...blank, note: NUMBERS.unreadable };
  if (tokens.length > MOST_TOKENS) return { ...blank, note: NUMBERS.long(tokens.length, MOST_TOKENS) };
  const steps = tokens.map((token, at) => {
    const before = [...ids, ...tokens.slice(0, at).map((each) => each.id)];
    return stepOf(state, model, before, token);
  });
  const end = steps.findIndex(({ fell }) => fell !== null) + 1 || steps.length;
  const told = steps.slice(0, end);
  const logprob = sumOf(told.map(({ probability }) => probability));
  const read = tokens.some((token) => token.special) ? text : textOf(tokens);
  const { kept: keeps, sampling } = scene(state)?.drawing ?? {};
  const [first] = steps;
  // Sampler steps don't keep the first ranks alone.
  const cut = keeps !== undefined && !sampling && keeps.known && first.rank !== null && first.rank > keeps.count;
  return { text, steps, logprob, cut, raw: sumOf(told.map(({ raw }) => raw)), fell: told[end - 1].fell, note: read === text ? "" : NUMBERS.altered };
}

/** @param {(number | null)[]} probabilities @returns {number | null} of all in sequence, as a logarithm */
function sumOf(probabilities) {
  return probabilities.reduce((sum, each) => (sum === null || each === null ? null : sum + Math.log(each)), /** @type {number | null} */ (0));
}

/** @param {State} state @param {string} model @param {readonly number[]} before @param {Token} token @returns {Step} as far as it is known */
function stepOf(state, model, before, token) {
  const candidate = state.lookups.get(lookupKey(model, before, token.id, state.settings))?.candidate;
  const { sampled } = candidate ?? {};
  const probability = sampled ? sampled.share : probabilityOf(state, model, before, token);
  return { token, rank: candidate?.rank ?? null, probability, raw: sampled ? (candidate?.probability ?? null) : null, fell: sampled?.fell ?? null };
}

/** @param {State} state @param {string} model @param {readonly number[]} before @param {Token} token @returns {number | null} */
function probabilityOf({ lookups, settings }, model, before, token) {
  const { temperature } = settings;
  const found = lookups.get(lookupKey(model, before, token.id, settings));
  if (!found) return null;
  if (found.temperature === temperature) return found.candidate.probability;
  const point = temperature > 0 ? pointAt(found.partition, 1 / temperature) : null;
  return point && shareAt(found.candidate.logit, point);
}

/** @param {State} state @param {Pick<Question, "model" | "text" | "tokenIds" | "watch">} about @returns {Question | null} */
function probe(state, about) {
  const here = settingsAt(state.settings, about.tokenIds?.length ?? NaN);
  const stepped = about.text === null && asked(here) !== null;
  const settings = stepped ? { ...here, topK: 1 } : { ...LOOK, temperature: about.text === null ? here.temperature : 1 };
  const key = JSON.stringify([about, settings]);
  return state.probeTrouble?.key === key ? null : { ...about, parts: null, runs: [], key, settings, whole: about.text !== null, draws: [] };
}

/**
 * @param {string} text an anchor character, then the text @param {readonly Token[]} read @param {number} tried
 * @returns {Spelling} the text's tokens
 */
function spellingOf(text, read, tried) {
  const start = read.findIndex((token) => !token.special);
  const end = read.findIndex((_, at) => start >= 0 && at >= start && textOf(read.slice(start, at + 1)) === text[0]);
  const tokens = end < 0 ? [] : read.slice(end + 1);
  if (tokens.length) return tokens;
  return tried + 1 < BEHIND.length ? tried + 1 : null;
}

/** @param {string} model @param {string} text */
function spellingKey(model, text) {
  return JSON.stringify([model, text]);
}

/** @param {string} model @param {readonly number[]} before @param {number} id @param {import("../../core/settings.js").Settings} settings */
function lookupKey(model, before, id, settings) {
  return `${id} ${answerKey(model, before)}${keyOf(settingsAt(settings, before.length))}`;
}

/** @template T @param {ReadonlyMap<string, T>} map @param {readonly (readonly [string, T])[]} news @returns {ReadonlyMap<string, T>} newest last, limited in size */
function latest(map, news) {
  return new Map([...map, ...news].slice(-MOST_KEPT));
}
