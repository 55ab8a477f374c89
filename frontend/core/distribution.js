/**
 * The next-token distribution at any temperature, computed from one answer. Pure.
 *
 * An answer holds the logits of its candidates and, over the whole vocabulary, log-sum-exp of logit·b with its first two
 * derivatives on a grid of inverse temperatures b. Quintic Hermite interpolation between grid points gives the
 * normalizer, so all probabilities and the entropy are over the whole vocabulary.
 *
 * @typedef {import("./tokens.js").Token} Token
 *
 * @typedef {object} Candidate
 * @property {Token} token
 * @property {number} rank  1 for the highest logit
 * @property {number} logit  before temperature; -Infinity for a masked token
 * @property {number} probability  at the answer's temperature, over the whole vocabulary
 * @property {{share: number, fell: string | null}} [sampled]  after the answer’s sampler steps, and the one that removed it
 *
 * @typedef {object} Point
 * @property {number} b  inverse temperature
 * @property {number} logSumExp
 * @property {number} mean  first derivative of logSumExp
 * @property {number} variance  second derivative of logSumExp
 *
 * @typedef {object} Answer
 * @property {string} model
 * @property {number} temperature  as requested
 * @property {number} topK  as requested
 * @property {number} topP  as requested
 * @property {number} minP  as requested
 * @property {{count: number, probability: number}} kept  what top-p and min-p keep, counted by the server
 * @property {Token[]} promptTokens
 * @property {number} tokenCount
 * @property {number} contextLimit
 * @property {Candidate[]} candidates  in order of rank
 * @property {readonly number[]} draws  as requested
 * @property {Candidate[]} drawn  the token sampled by each draw
 * @property {Candidate[]} watched  requested by id, whatever their rank
 * @property {Point[]} partition  in order of b
 * @property {Point | null} atZero  at b = 0, where all finite logits weigh the same; null if the server doesn’t say
 * @property {number} otherProbability
 * @property {number} entropyBits
 * @property {number} vocabSize
 * @property {import("./slices_later.js").Sampling | null} [sampling]  what its sampler steps did, if it has any; then it is at temperature 1
 *
 * @typedef {object} Row
 * @property {Candidate} candidate
 * @property {number} probability  at the requested temperature
 * @property {number} raw  at temperature 1; NaN if unknown
 *
 * @typedef {object} Drawing
 * @property {Row[]} rows
 * @property {number} otherProbability
 * @property {number} otherCount
 * @property {number} entropyBits
 * @property {boolean} exact  computed by the server; otherwise here, to within 1e-4
 */

const NEGLIGIBLE = 5e-5; // probability

/**
 * @param {Answer} answer @param {number} temperature @param {number} topK number of rows
 * @param {readonly Candidate[]} [also] more rows for these candidates or watched tokens, appended if not already shown
 * @returns {Drawing | null} null if only the server can compute it
 */
export function redraw(answer, temperature, topK, also = []) {
  const first = answer.candidates.slice(0, topK);
  const shown = [...first, ...also.filter(({ token }) => !first.some((each) => each.token.id === token.id))];
  const raw = atOne(answer);
  const draw = (/** @type {(candidate: Candidate) => number} */ probability, /** @type {number} */ entropyBits) => {
    const rows = shown.map((candidate) => ({ candidate, probability: probability(candidate), raw: raw(candidate) }));
    const sum = rows.reduce((total, row) => total + row.probability, 0);
    const otherCount = Math.max(0, answer.vocabSize - shown.length);
    return { rows, otherProbability: otherCount ? Math.max(0, 1 - sum) : 0, otherCount, entropyBits, exact: false };
  };
  if (temperature === answer.temperature) {
    const drawing = draw((candidate) => candidate.probability, answer.entropyBits);
    // The server's sum of the rest is more precise than 1 - sum.
    const hidden = answer.candidates.slice(first.length).reduce((total, { probability }) => total + probability, 0);
    const beside = shown.slice(first.length).reduce((total, { probability }) => total + probability, 0);
    return { ...drawing, exact: true, otherProbability: Math.max(0, Math.min(1, answer.otherProbability + hidden - beside)) };
  }
  if (temperature === 0) {
    const best = answer.candidates.filter((candidate) => candidate.logit === answer.candidates[0].logit);
    if (!best.length || best.length === answer.candidates.length) return null;
    return draw((candidate) => (best.includes(candidate) ? 1 / best.length : 0), Math.log2(best.length));
  }
  const point = pointAt(answer.partition, 1 / temperature) ?? beyond(answer, 1 / temperature);
  if (!point) return null;
  return draw((candidate) => shareAt(candidate.logit, point), entropyBits(point));
}

/** @param {Answer} answer @returns {(candidate: Candidate) => number} probability at temperature 1; NaN if unknown */
export function atOne(answer) {
  const point = pointAt(answer.partition, 1);
  return (candidate) => {
    if (answer.temperature === 1) return candidate.probability;
    return point ? shareAt(candidate.logit, point) : NaN;
  };
}

/** @param {Answer} answer @param {Candidate} candidate of it @returns {import("./tree.js").Score | null} at temperature 1; null if unknown */
export function scoreOf(answer, candidate) {
  const { rank, logit, probability } = candidate;
  const point = pointAt(answer.partition, 1);
  if (answer.temperature === 1 && probability > 0) return { logprob: Math.log(probability), rank, entropy: answer.entropyBits };
  return point && { logprob: Math.min(0, logit - point.logSumExp), rank, entropy: entropyBits(point) };
}

/** @param {number} logit @param {Point} point @returns {number} the probability of that logit */
export function shareAt(logit, point) {
  return Math.min(1, Math.exp(logit * point.b - point.logSumExp));
}

/** @param {Point} point @returns {number} */
function entropyBits(point) {
  return Math.max(0, (point.logSumExp - point.b * point.mean) / Math.LN2);
}

/**
 * @param {readonly Point[]} partition in order of b @param {number} b
 * @returns {Point | null} the interpolated point; null outside the grid. Between grid points its variance is not computed.
 */
export function pointAt(partition, b) {
  const after = partition.findIndex((point) => point.b >= b);
  if (after < 0) return lastPoint(partition, b);
  if (partition[after].b === b) return partition[after];
  if (after === 0) return nearly(partition[0].b, b) ? partition[0] : null;
  return hermite(partition[after - 1], partition[after], b);
}

/**
 * A point beyond the cold end of the grid, where the candidates hold nearly all probability: the rest shrinks at least as
 * fast as the last candidate.
 * @param {Answer} answer @param {number} b beyond its grid
 * @returns {Point | null} null if the rest may not be negligible
 */
function beyond({ candidates, partition }, b) {
  const last = partition.at(-1);
  if (!last || b < last.b || !candidates.length) return null;
  const [highest, lowest] = [candidates[0].logit, candidates[candidates.length - 1].logit];
  const sum = (/** @type {number} */ at) => candidates.reduce((total, { logit }) => total + Math.exp((logit - highest) * at), 0);
  const [total, others] = [sum(b), Math.exp(last.logSumExp - highest * last.b) - sum(last.b)];
  if (Math.max(0, others) * Math.exp((lowest - highest) * (b - last.b)) > NEGLIGIBLE * total) return null;
  const mean = candidates.reduce((found, { logit }) => found + (logit === -Infinity ? 0 : (logit * Math.exp((logit - highest) * b)) / total), 0);
  return { b, logSumExp: highest * b + Math.log(total), mean, variance: NaN };
}

/** @param {readonly Point[]} partition @param {number} b */
function lastPoint(partition, b) {
  const last = partition.at(-1);
  return last && nearly(last.b, b) ? last : null;
}

/** @param {number} a @param {number} b */
function nearly(a, b) {
  return Math.abs(a - b) <= 1e-9 * Math.abs(b);
}

/** @param {Point} left @param {Point} right @param {number} b @returns {Point} */
function hermite(left, right, b) {
  const h = right.b - left.b;
  const t = (b - left.b) / h;
  const t2 = t * t;
  const t3 = t2 * t;
  const t4 = t3 * t;
  const t5 = t4 * t;
  const logSumExp =
    left.logSumExp +
    (right.logSumExp - left.logSumExp) * (10 * t3 - 15 * t4 + 6 * t5) +
    h * left.mean * (t - 6 * t3 + 8 * t4 - 3 * t5) +
    h * right.mean * (-4 * t3 + 7 * t4 - 3 * t5) +
    (h * h * left.variance * (t2 - 3 * t3 + 3 * t4 - t5)) / 2 +
    (h * h * right.variance * (t3 - 2 * t4 + t5)) / 2;
  const mean =
    ((right.logSumExp - left.logSumExp) * (30 * t2 - 60 * t3 + 30 * t4)) / h +
    left.mean * (1 - 18 * t2 + 32 * t3 - 15 * t4) +
    right.mean * (-12 * t2 + 28 * t3 - 15 * t4) +
    (h * left.variance * (2 * t - 9 * t2 + 12 * t3 - 5 * t4)) / 2 +
    (h * right.variance * (3 * t2 - 8 * t3 + 5 * t4)) / 2;
  return { b, logSumExp, mean, variance: NaN };
}
