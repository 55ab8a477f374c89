/** Steps of a reader on a page without views, with a server that answers at once. */
import assert from "node:assert/strict";
import * as outcomes from "../../../frontend/core/outcomes.js";
import { scene, wanted } from "../../../frontend/core/questions.js";
import * as states from "../../../frontend/core/state.js";
import { setModels } from "../../../frontend/features/models/model.js";
import { readAnswer, readModels } from "../../../frontend/net/wire.js";
import { logits, wireAnswer, wireToken } from "./answers.js";

export const VALUES = logits(21, 40, 2);

/** @param {string} name @param {string} [state] @param {object} [more] */
export const model = (name, state = "ready", more = {}) => ({ name, state, is_default: false, ...more });
/** What a server tells of a model that is ready. @param {object} [more] */
export const factsOf = (more = {}) => ({ parameters: 5, device: "cpu", dtype: "float32", vocab_size: 4096, context_limit: 512, end_of_text_ids: [], prefix_token_ids: [], ...more });
/** @param {...object} models */
export const news = (...models) => readModels({ models });

/** The id of a word: that of the bar it stands at, else one by its letters. @param {string} word */
const idOf = (word) => (/^ w\d+$/.test(word) ? Number(word.slice(2)) : 1000 + [...word].reduce((sum, each) => sum * 7 + each.charCodeAt(0), 0));

/** The server's part: one token for each word, or for what `split` matches. @param {states.State} state */
export function answer(state, { settings = state.settings, split = /\s*\S+/g } = {}) {
  const question = wanted({ ...state, settings });
  assert.ok(question, "nothing was asked");
  const words = question.text?.match(split) ?? [];
  const tokens = question.text === null ? undefined : words.map((word) => wireToken(idOf(word), word));
  const json = wireAnswer(VALUES, { ...question.settings, draws: [...question.draws], watch: question.watch, tokens, model: question.model });
  return outcomes.receive(state, question, readAnswer(json, { model: question.model, text: question.text, draws: question.draws, watch: question.watch, ...question.settings }));
}

/** @param {states.State} state @param {number} index */
export function pick(state, index) {
  const row = scene(state).drawing.rows[index];
  return states.append(state, row.candidate, row.raw);
}

/** A page that has its first answer. @param {string} [text] @param {object} [facts] of its model, beside the usual */
export function begun(text = "Once upon a time", facts = {}) {
  const fresh = setModels(states.initial(), news(model("tiny", "ready", { is_default: true, facts: factsOf(facts) })), 0);
  return states.rest(answer(states.edit(fresh, text)));
}
