/**
 * Explains each number on the page, with its current value. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 *
 * @typedef {object} Explanation
 * @property {string} name
 * @property {string} value  as currently shown; empty if not shown
 * @property {string} words
 * @property {string} target  selector of the element that shows it
 */
import { othersWords } from "../../core/cuts.js";
import * as format from "../../core/format.js";
import { answerHere, scene } from "../../core/questions.js";
import { shown } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { find } from "../models/model.js";

/** @param {State} state @returns {Explanation[]} in the order of the page */
export function explanations(state) {
  return [...ofText(state), ...ofBars(state), ...ofSettings(state), ...ofDice(state), ...ofModel(state)];
}

/** @param {State} state @returns {Explanation[]} */
function ofText(state) {
  const nodes = state.current === null ? [] : tree.path(state.tree, state.current);
  const limit = answerHere(state)?.contextLimit;
  const picked = nodes.filter((node) => node.probability !== null);
  const share = picked.reduce((total, node) => total + Number(tree.logprobOf(node)), 0);
  const last = picked.at(-1);
  return [
    {
      name: "Tokens",
      value: nodes.length && limit ? `${format.count(nodes.length)} of ${format.count(limit)}` : "",
      words: "The pieces the model reads: words, parts of words, punctuation. The second number is how many it can read at once (its context window).",
      target: ".prompt-count",
    },
    {
      name: "A token’s id",
      value: last?.token ? format.count(last.token.id) : "",
      words: "Its number in the model’s list of tokens. The model sees these numbers and no letters. Point at a token of the text to see its id.",
      target: ".tokens",
    },
    {
      name: "A path’s share",
      value: picked.length ? format.percentOf(share) : "",
      words: "How likely all the tokens you picked are, one after the other: their shares multiplied. It shrinks with every token, even if each was likely.",
      target: ".paths",
    },
  ];
}

/** @param {State} state @returns {Explanation[]} */
function ofBars(state) {
  const drawing = scene(state)?.drawing;
  const first = drawing?.rows[0];
  const vocabulary = drawing ? `${format.count(drawing.rows.length + drawing.otherCount)} tokens` : "all tokens";
  return [
    {
      name: "A bar’s percentage",
      value: first ? `${shown(first.candidate.token)} ${format.percent(first.share)}` : "",
      words: `How likely this token is to come next. The bar’s length shows it: the whole track is 100\u202f%. Together, ${vocabulary} make up 100\u202f%.`,
      target: ".bars .percent",
    },
    {
      name: "The number before it",
      value: first ? String(first.candidate.rank) : "",
      words: "Its rank, counted from the most likely token. It is also the key that picks the bar; 0 is the tenth.",
      target: ".bars .rank",
    },
    {
      name: "The pale bar",
      value: first && !Number.isNaN(first.raw) ? format.percent(drawing?.cutting ? first.probability : first.raw) : "",
      words: "The model’s own probability, before temperature and filters changed it to the solid bar. It shows where the two differ.",
      target: ".bars .track",
    },
    {
      name: "Others",
      value: drawing?.otherCount ? `${othersWords(drawing)}, ${format.percent(drawing.otherShare)}` : "",
      words: "All the tokens without a bar here, and their total. Raise “Bars shown” to see more of them.",
      target: ".others",
    },
    {
      name: "Bits",
      value: drawing ? format.bits(drawing.entropyBits) : "",
      words: "The entropy: how open the choice is. 0 bits: one token is certain. 1 bit: like a coin toss. Each further bit doubles the number of equally likely choices. It ignores top-p and min-p.",
      target: ".chart-entropy",
    },
    {
      name: "Log-probability",
      value: first ? format.signed(Math.log(first.probability)) : "",
      words: "The share as its natural logarithm: 0 for certain, and the further below 0, the less likely. View shows it as a column.",
      target: ".bars .row",
    },
    {
      name: "Surprise",
      value: "",
      words: "How unexpected a token of your text was, in bits: 0 was certain, 1 a coin toss, 10 one in a thousand. Select it next to the text to highlight tokens by it.",
      target: ".tokens",
    },
    {
      name: "Logit",
      value: first ? format.signed(first.candidate.logit) : "",
      words: "The score that the model gives a token. It means nothing on its own; one point higher is e times, about 2.7 times, as likely.",
      target: ".steps",
    },
  ];
}

/** @param {State} state @returns {Explanation[]} */
function ofSettings(state) {
  const { temperature, topK, topP, minP } = state.settings;
  const kept = scene(state)?.drawing.kept;
  return [
    {
      name: "Temperature",
      value: String(temperature),
      words: "How adventurous the choice is. At 1 the shares are the model’s own; lower favours likely tokens, higher evens them out; at 0 the first gets 100\u202f%.",
      target: "#temperature-number",
    },
    { name: "Bars shown", value: String(topK), words: "How many tokens get a bar of their own. The others are not removed: they share the last bar.", target: "#top-k-number" },
    {
      name: "Top-p",
      value: String(topP),
      words: "Keeps the most likely tokens until their shares reach this sum, and drops the rest. 1 keeps all.",
      target: "#top-p-number",
    },
    {
      name: "Min-p",
      value: String(minP),
      words: "Drops the tokens whose share is smaller than this fraction of the first one’s. 0 drops none.",
      target: "#min-p-number",
    },
    {
      name: "Kept",
      value: kept ? `${kept.known ? "" : "more than "}${format.count(kept.known ? kept.count : kept.count - 1)}, ${format.percent(kept.probability)}` : "",
      words: "How many tokens top-p and min-p keep, and their total probability before. The rest is removed, and these are rescaled to 100\u202f%.",
      target: ".kept",
    },
  ];
}

/** @param {State} state @returns {Explanation[]} */
function ofDice({ dice }) {
  return [
    {
      name: "Seed",
      value: String(dice.seed),
      words: "The number the dice start from. The same seed and text roll the same token, so a roll can be repeated.",
      target: "#seed",
    },
    { name: "Speed", value: `${dice.pace}/s`, words: "Tokens per second while generating.", target: ".pace" },
  ];
}

/** @param {State} state @returns {Explanation[]} */
function ofModel(state) {
  const facts = find(state, state.model)?.facts;
  return [
    {
      name: "Parameters",
      value: facts ? format.parameters(facts.parameters).replace(" parameters", "") : "",
      words: "How many learned numbers the model contains. M: millions; B: billions (thousands of millions).",
      target: ".models-open",
    },
  ];
}
