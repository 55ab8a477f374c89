/**
 * Reads what sampler steps did to an answer; loaded with the first answer that has some.
 *
 * @typedef {import("../core/distribution.js").Answer} Answer
 * @typedef {import("../core/distribution.js").Candidate} Candidate
 */
import { asked, keyOf } from "../core/chain.js";
import { BadAnswer, list, number, object, probability, readCandidate } from "./wire.js";

/** @param {string} name of a step @returns {string} within a sentence */
export function nameOf(name) {
  return name === "xtc" ? "XTC" : name.replace(/_(?=.$)/, "-").replace("top_n_sigma", "top-n-σ").replaceAll("_", " ");
}

/**
 * @param {any} json @param {Answer} answer of it @param {import("../core/chain.js").Sampled} settings @param {number} [coin] as asked for
 * @returns {Answer} with what the steps did, at temperature 1 and unfiltered @throws {BadAnswer}
 */
export function withSampling({ sampling, ...json }, answer, settings, coin) {
  const steps = asked(settings) ?? [];
  const names = steps.flatMap(Object.keys).map(nameOf);
  const left = list(object(sampling, "sampling").steps, "sampling.steps").map((step, at) => ({
    count: number(step?.count, `sampling.steps[${at}].count`, 1),
    probability: probability(step.probability, `sampling.steps[${at}].probability`),
  }));
  if (left.length !== steps.length) throw new BadAnswer(`sampling.steps holds ${left.length} steps, not ${steps.length}`);

  /** @param {any} sent @param {string} field @param {Candidate} candidate @returns {Candidate} */
  function placed(sent, field, candidate) {
    const { probability: share, fell_at: fell } = object(sent?.sampled, `${field}.sampled`);
    if (fell !== null && !names[fell]) throw new BadAnswer(`${field}.sampled.fell_at is ${fell}`);
    return { ...candidate, sampled: { share: probability(share, `${field}.sampled.probability`), fell: fell === null ? null : names[fell] } };
  }
  const all = (/** @type {"candidates" | "drawn" | "watched"} */ field) => answer[field].map((candidate, at) => placed(json[field][at], `${field}[${at}]`, candidate));
  const likeliest = list(sampling.likeliest, "sampling.likeliest").map((sent, at) => placed(sent, `sampling.likeliest[${at}]`, readCandidate(sent, `sampling.likeliest[${at}]`)));
  return {
    ...answer,
    temperature: 1,
    topP: 1,
    minP: 0,
    kept: { count: answer.vocabSize, probability: 1 },
    candidates: all("candidates"),
    drawn: all("drawn"),
    watched: all("watched"),
    sampling: { key: keyOf(settings), coin, names, left, kept: answer.kept, likeliest },
  };
}
