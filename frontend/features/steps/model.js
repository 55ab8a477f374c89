/**
 * Explains the calculation with the current numbers: logits, temperature, softmax, filters, renormalizing. Pure.
 *
 * @typedef {import("../../core/cuts.js").CutDrawing} Drawing
 * @typedef {import("../../core/state.js").Settings} Settings
 */
import { keptWords } from "../../core/cuts.js";
import * as format from "../../core/format.js";
import { shown } from "../../core/tokens.js";

const EXAMPLES = 2;

/** @param {Drawing} drawing @param {Settings} settings @returns {string[]} one or two sentences per step */
export function steps(drawing, settings) {
  const { temperature, topP, minP } = settings;
  const rows = drawing.rows.slice(0, EXAMPLES);
  const vocabulary = drawing.rows.length + drawing.otherCount;
  const each = (/** @type {(row: Drawing["rows"][number]) => string} */ words) =>
    rows.map((row) => `${shown(row.candidate.token)} ${words(row)}`).join(", ");
  const logits = each((row) => format.signed(row.candidate.logit));
  const divided = each((row) => format.signed(row.candidate.logit / temperature));
  const said = each((row) => format.percent(row.probability));
  const { sampling } = drawing;
  if (sampling) {
    const did = sampling.names.map((name, at) => `${capital(name)}: ${format.tokens(sampling.left[at].count)}, ${format.percent(sampling.left[at].probability)} left.`);
    const first = [
      `The model gives each of ${format.count(vocabulary)} tokens a score, its logit: ${logits}.`,
      `Softmax turns these into probabilities that sum to 100\u202f%: ${said}. Then come the sampler steps.`,
    ];
    return [...first, ...did, "What is left is scaled to 100\u202f%."];
  }
  return [
    `The model gives each of ${format.count(vocabulary)} tokens a score, its logit: ${logits}.`,
    temperature === 0
      ? "At temperature 0 the highest logit gets 100\u202f%."
      : temperature === 1
        ? "Each logit is divided by the temperature. At 1 nothing changes."
        : `Each logit is divided by the temperature, ${temperature}: ${divided}.`,
    `Softmax turns these into probabilities that sum to 100\u202f%: ${said}.`,
    `${cutWords(topP, minP)} ${keptWords(drawing.kept, vocabulary)}`,
    drawing.cutting
      ? `What is kept is divided by ${format.percent(drawing.kept.probability)}, so that it sums to 100\u202f% again: ${each((row) =>
          row.fell ? "is out" : format.percent(row.share),
        )}.`
      : "No rescaling needed: a token is drawn by these probabilities.",
  ];
}

/** @param {string} words @returns {string} */
function capital(words) {
  return words[0].toUpperCase() + words.slice(1);
}

/** @param {number} topP @param {number} minP @returns {string} */
function cutWords(topP, minP) {
  const top = `Top-p ${topP} keeps the most likely tokens until they sum to at least ${format.percent(topP)}.`;
  const min = `Min-p ${minP} keeps those at least ${minP} times as likely as the first.`;
  return [topP < 1 ? top : "", minP > 0 ? min : ""].filter(Boolean).join(" ") || "Top-p at 1 and min-p at 0 remove nothing.";
}
