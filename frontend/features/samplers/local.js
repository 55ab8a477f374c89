/**
 * What sampler steps do to an answer, computed on the page as long as that is exact: every token that they weigh one by
 * one is among the answer’s candidates. The others, none of them likelier, count by their sums. Pure.
 *
 * @typedef {import("../../core/distribution.js").Answer} Answer
 * @typedef {import("../../core/distribution.js").Candidate} Candidate
 * @typedef {import("../../core/cuts.js").CutDrawing} Drawing
 * @typedef {{candidate: Candidate, score: number}} Cell
 *
 * @typedef {object} Pool  the tokens in play
 * @property {readonly Cell[]} cells  candidates, by descending score
 * @property {boolean} tail  all other tokens are in play too
 * @property {number} b  inverse temperature of their scores
 */
import { asked } from "../../core/chain.js";
import { pointAt, redraw } from "../../core/distribution.js";
import { nameOf } from "../../net/sampled.js";

const ROUNDING = 1e-12;
const TOP_H_TOKENS = 100;

/** @param {Answer} answer @param {import("../../core/settings.js").Settings} settings @param {readonly Candidate[]} own  that get a bar too @returns {Drawing | null} null if only the server can compute it */
export function simulate(answer, settings, own = []) {
  const steps = asked(settings) ?? [];
  const finite = answer.candidates.filter(({ logit }) => logit > -Infinity);
  /** @type {Pool} */
  let pool = { cells: finite.map((candidate) => ({ candidate, score: candidate.logit })), tail: others(answer) > 0, b: 1 };
  const first = sumsOf(answer, pool);
  if (!first) return null;
  let sums = first; // of the pool
  /** @type {Map<number, string>} */
  const fell = new Map();
  const names = steps.flatMap(Object.keys).map(nameOf);
  const left = [];
  let lost = ""; // the step that removed the others
  for (const [at, step] of steps.entries()) {
    const [[name, value]] = Object.entries(step);
    const next = apply(answer, pool, sums, name, value);
    const after = next?.cells.length ? sumsOf(answer, next) : null;
    if (!next || !after) return null;
    const stays = new Set(next.cells.map(({ candidate }) => candidate.token.id));
    const gone = pool.cells.filter(({ candidate }) => !stays.has(candidate.token.id));
    for (const { candidate } of gone) fell.set(candidate.token.id, names[at]);
    const kept = pool.cells.reduce((sum, { candidate, score }) => sum + (stays.has(candidate.token.id) ? sums.share(score) : 0), next.tail ? sums.tail : 0);
    if (pool.tail && !next.tail) lost = names[at];
    left.push({ count: countOf(answer, next), probability: gone.length || pool.tail !== next.tail ? Math.min(1, kept) : 1 });
    [pool, sums] = [next, after];
  }
  return drawn(answer, settings, own, pool, { fell, lost, names, left, first, last: sums });
}

/** @param {Answer} answer @param {import("../../core/settings.js").Settings} settings @param {readonly Candidate[]} own @param {Pool} pool @param {{fell: Map<number, string>, lost: string, names: string[], left: {count: number, probability: number}[], first: Sums, last: Sums}} said @returns {Drawing | null} */
function drawn(answer, settings, own, pool, { fell, lost, names, left, first, last }) {
  const likeliest = pool.cells.slice(0, settings.topK).map(({ candidate }) => candidate);
  const drawing = redraw(answer, 1, settings.topK, [...own, ...likeliest.filter((each) => !own.includes(each))]);
  if (!drawing) return null;
  const shares = new Map(pool.cells.map(({ candidate, score }) => [candidate.token.id, last.share(score)]));
  // Of one that is not among the candidates nothing is known but that it is gone.
  if (pool.tail && drawing.rows.some(({ candidate }) => !shares.has(candidate.token.id) && !fell.has(candidate.token.id))) return null;
  const all = drawing.rows.map((row) => {
    const share = shares.get(row.candidate.token.id);
    return { ...row, raw: row.probability, share: share ?? 0, fell: share === undefined ? (fell.get(row.candidate.token.id) ?? lost) : null };
  });
  const kept = all.filter((row) => row.fell === null).sort((a, b) => b.share - a.share);
  const count = countOf(answer, pool);
  const otherShare = count > kept.length ? Math.max(0, 1 - kept.reduce((sum, { share }) => sum + share, 0)) : 0;
  const probability = pool.cells.reduce((sum, { candidate }) => sum + first.share(candidate.logit), pool.tail ? first.tail : 0);
  const rows = all.map((row) => (row.fell === null ? /** @type {typeof row} */ (kept.shift()) : row));
  const sampling = { key: "", coin: undefined, names, left, kept: { count, probability: Math.min(1, probability) }, likeliest };
  return { ...drawing, rows, cutting: true, kept: { ...sampling.kept, known: true }, otherShare, sampling };
}

/** @param {Answer} answer @param {Pool} pool @returns {number} */
function countOf(answer, { cells, tail }) {
  return cells.length + (tail ? others(answer) : 0);
}

/** @param {Answer} answer @returns {number} how many tokens that the model doesn’t rule out are not among its candidates */
function others({ candidates, vocabSize, atZero }) {
  return atZero ? Math.round(Math.exp(atZero.logSumExp)) - candidates.filter(({ logit }) => logit > -Infinity).length : vocabSize - candidates.length;
}

/**
 * @typedef {{share: (score: number) => number, tail: number, entropy: number, edge: number}} Sums  `tail`: the probability of the others; `edge`: the highest score that one of them may have
 * @param {Answer} answer @param {Pool} pool @returns {Sums | null} null where the sums of the others are not known
 */
function sumsOf({ partition, candidates }, { cells, tail, b }) {
  const point = tail ? pointAt(partition, b) : null;
  if (tail && !point) return null;
  const top = Math.max(...cells.map(({ score }) => score));
  let [rest, weighted] = point ? [Math.exp(point.logSumExp - top), Math.exp(point.logSumExp - top) * point.mean * b] : [0, 0];
  for (const { logit } of point ? candidates : []) {
    if (logit === -Infinity) continue;
    const part = Math.exp(logit * b - top);
    rest -= part;
    weighted -= part * logit * b;
  }
  rest = Math.max(0, rest);
  const total = cells.reduce((sum, { score }) => sum + Math.exp(score - top), rest);
  const inside = cells.reduce((sum, { score }) => sum + Math.exp(score - top) * score, rest ? weighted : 0);
  const edge = point ? (candidates.at(-1)?.logit ?? Infinity) * b : -Infinity;
  return { share: (score) => Math.exp(score - top) / total, tail: rest / total, entropy: top + Math.log(total) - inside / total, edge };
}

/** @param {Answer} answer @param {Pool} pool @param {Sums} sums of it @param {string} name @param {any} value as the server reads it @returns {Pool | null} */
function apply(answer, pool, { share, entropy, edge }, name, value) {
  const { cells } = pool;
  const [top] = cells.map(({ score }) => score);
  const spread = name === "top_n_sigma" ? deviation(answer, pool) : null;
  /** Keeps scores from a threshold on; what is not known lies below it. @param {number} least */
  const from = (least) => (pool.tail && edge >= least ? null : only(cells.filter(({ score }) => score >= least)));
  /** @param {readonly Cell[]} kept @param {boolean} [tail] @returns {Pool} */
  const only = (kept, tail = false) => ({ ...pool, cells: kept, tail });
  /** @param {number} least probability */
  const likely = (least) => from(Math.min(top, top + Math.log(least / share(top))));
  switch (name) {
    case "temperature":
      return value === 0 ? from(top) : { cells: cells.map((cell) => ({ ...cell, score: cell.score / value })), tail: pool.tail, b: pool.b / value };
    case "top_k":
      return value >= countOf(answer, pool) ? pool : value > cells.length ? null : from(cells[value - 1].score);
    case "min_p":
      return from(top + Math.log(value));
    case "epsilon":
      return likely(value);
    case "eta":
      return likely(Math.min(value, Math.sqrt(value) * Math.exp(-entropy)));
    case "top_n_sigma":
      return spread === null ? null : from(top - value * spread);
    case "top_p":
      return value >= 1 ? pool : reached(cells, value - ROUNDING);
    case "typical_p":
      return value >= 1 ? pool : typical(value);
    case "top_h":
      return highest(value);
    case "xtc":
      return excluded(value);
    case "logit_bias":
      return shifted(new Map(value.map((/** @type {any} */ each) => [each.token_id, each.bias])));
    case "ban":
      return named(value) && only(cells.filter(({ candidate }) => !value.includes(candidate.token.id)), pool.tail);
    default:
      return null; // penalties and masks need what only the server has
  }

  /** @param {readonly Cell[]} all @param {number} mass @returns {Pool | null} the first ones that hold it */
  function reached(all, mass) {
    let sum = 0;
    const at = all.findIndex(({ score }) => (sum += share(score)) >= mass);
    if (at < 0) return pool.tail ? null : pool;
    return pool.tail && edge >= all[at].score ? null : only(all.slice(0, at + 1));
  }

  /** @param {number} mass */
  function typical(mass) {
    const away = (/** @type {number} */ score) => Math.abs(-Math.log(share(score)) - entropy);
    const order = cells.map(({ score }) => ({ away: away(score), share: share(score) })).sort((a, b) => a.away - b.away);
    let sum = 0;
    const last = order.find((each) => (sum += each.share) >= mass) ?? order[order.length - 1];
    // All others are more surprising than the least likely candidate.
    const unknown = pool.tail && (sum < mass || -Math.log(share(edge)) - entropy <= last.away);
    return unknown ? null : only(cells.filter(({ score }) => away(score) <= last.away));
  }

  /** @param {number} part of the entropy */
  function highest(part) {
    const most = Math.min(TOP_H_TOKENS, cells.length);
    if (pool.tail && (most < TOP_H_TOKENS || edge >= cells[most - 1].score)) return null;
    const sum = cells.slice(0, most).reduce((total, { score }) => total + share(score), 0);
    const terms = cells.slice(0, most).map(({ score }) => (share(score) > 0 ? (-share(score) / sum) * Math.log(share(score) / sum) : 0));
    const whole = terms.reduce((total, each) => total + each, 0);
    let held = 0;
    const count = terms.filter((each, at) => (held += each) <= part * whole + ROUNDING && share(cells[at].score) > 0).length;
    return only(cells.slice(0, Math.max(1, count)));
  }

  /** @param {{probability: number, threshold: number}} how it acts, if it ever does */
  function excluded({ probability, threshold }) {
    if (probability === 0 || threshold > 0.5) return pool;
    if (pool.tail && share(edge) >= threshold) return null;
    const above = cells.filter(({ score }) => share(score) >= threshold).length;
    return above < 2 ? pool : only(cells.slice(above - 1), pool.tail);
  }

  /** @param {ReadonlyMap<number, number>} biases */
  function shifted(biases) {
    const moved = cells.map((cell) => ({ ...cell, score: cell.score + (biases.get(cell.candidate.token.id) ?? 0) }));
    return named([...biases.keys()]) && { ...pool, cells: moved.sort((a, b) => b.score - a.score) };
  }

  /** @param {readonly number[]} ids @returns {true | null} what is known of the others holds without them */
  function named(ids) {
    return !pool.tail || ids.every((id) => answer.candidates.some(({ token }) => token.id === id)) || null;
  }
}

/** @param {Answer} answer @param {Pool} pool @returns {number | null} standard deviation of all scores in play; null where it is not known */
function deviation({ candidates, atZero }, { cells, tail, b }) {
  if (tail && !atZero) return null;
  const center = tail ? /** @type {import("../../core/distribution.js").Point} */ (atZero).mean : cells[0].score / b; // near the mean, so that nothing cancels
  let [count, sum, squares] = [cells.length, 0, 0];
  for (const { score } of cells) {
    sum += score - center * b;
    squares += (score - center * b) ** 2;
  }
  if (tail && atZero) {
    // The others: all logits less those of the candidates.
    const finite = candidates.filter(({ logit }) => logit > -Infinity);
    const all = Math.round(Math.exp(atZero.logSumExp));
    count += all - finite.length;
    sum -= finite.reduce((total, { logit }) => total + (logit - center) * b, 0);
    squares += (all * atZero.variance - finite.reduce((total, { logit }) => total + (logit - center) ** 2, 0)) * b * b;
  }
  return Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
}
