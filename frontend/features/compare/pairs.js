/**
 * One text as two models have it, token by token: what covers the same bytes is compared. Pure.
 *
 * @typedef {import("../../core/tokens.js").Token} Token
 *
 * @typedef {object} Scored
 * @property {Token} token
 * @property {number | null} logprob  in nats; null: nothing comes before it
 * @property {number | null} node  of the page's tree; null: it has none
 *
 * @typedef {"first" | "special" | "text"} Why
 *
 * @typedef {object} Pair  the least that covers the same bytes in both
 * @property {readonly Scored[]} a  none: only B has it
 * @property {readonly Scored[]} b
 * @property {number | null} bits  how much more B expects it: log₂ of the ratio of both probabilities; null: they can't be compared
 * @property {Why | null} why  first: nothing comes before it; special: only one has a special token there; text: it spells something else
 */
import { hex, join, wholeness } from "../../core/tokens.js";

/** @param {readonly Scored[]} a @param {readonly Scored[]} b @returns {Pair[]} in the order of the text */
export function pair(a, b) {
  const [first, second] = [bytesOf(a), bytesOf(b)];
  const least = Math.min(first.length, second.length);
  let from = 0;
  while (from < least && first[from] === second[from]) from++;
  if (from === first.length && from === second.length) return walk(a, b);
  let behind = 0;
  while (behind < least - from && first.at(-1 - behind) === second.at(-1 - behind)) behind++;
  const [start, end] = [meet(a, b, from), meet(a.toReversed(), b.toReversed(), behind)];
  const middle = pairOf(a.slice(start.a, a.length - end.a), b.slice(start.b, b.length - end.b), "text");
  return [...walk(a.slice(0, start.a), b.slice(0, start.b)), middle, ...walk(a.slice(a.length - end.a), b.slice(b.length - end.b))];
}

/** @param {readonly Pair[]} pairs @returns {{bits: number, count: number, joined: boolean, left: Record<Why, number>}} over those that can be compared; `left`: how many tokens can't */
export function total(pairs) {
  const compared = pairs.filter(({ bits }) => bits !== null);
  const left = { first: 0, special: 0, text: 0 };
  for (const { a, b, why } of pairs) if (why) left[why] += Math.max(a.length, b.length);
  return {
    bits: difference(sum(compared.flatMap(({ a }) => a)), sum(compared.flatMap(({ b }) => b))),
    count: compared.length,
    joined: compared.some(({ a, b }) => a.length !== b.length || a.length > 1),
    left,
  };
}

/** @param {readonly Scored[]} a @param {readonly Scored[]} b with the same bytes @returns {Pair[]} */
function walk(a, b) {
  /** @type {Pair[]} */
  const pairs = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const from = { i, j };
    const marks = [a[i]?.token.special === true, b[j]?.token.special === true];
    if (marks[0] || marks[1]) {
      const same = marks[0] && marks[1] && hex(a[i].token.bytes) === hex(b[j].token.bytes);
      if (marks[0]) i++;
      if (same || !marks[0]) j++;
    } else {
      let ahead = 0; // bytes of A beyond B's
      do {
        if (j >= b.length || (ahead <= 0 && i < a.length)) ahead += size(a[i++]);
        else ahead -= size(b[j++]);
      } while ((i < a.length || j < b.length) && (ahead !== 0 || i === from.i || j === from.j || wholeness(bytesOf(a.slice(from.i, i))) === "open"));
    }
    pairs.push(pairOf(a.slice(from.i, i), b.slice(from.j, j)));
  }
  return pairs;
}

/** @param {readonly Scored[]} a @param {readonly Scored[]} b @param {Why | null} [known] @returns {Pair} */
function pairOf(a, b, known = null) {
  const all = [...a, ...b];
  const alone = !a.length || !b.length || (all.length > 2 && all.some(({ token }) => token.special));
  const why = known ?? (alone ? "special" : all.some(({ logprob }) => logprob === null) ? "first" : null);
  return { a, b, bits: why ? null : difference(sum(a), sum(b)), why };
}

/** @param {readonly Scored[]} a @param {readonly Scored[]} b @param {number} most bytes in common @returns {{a: number, b: number}} how many tokens of each come before the last place within these where tokens of both meet */
function meet(a, b, most) {
  const [one, other] = [a, b].map((all) => {
    let at = 0;
    return new Map([[0, 0], ...all.map((each, index) => /** @type {[number, number]} */ ([(at += size(each)), index + 1]))]);
  });
  const at = Math.max(...[...one.keys()].filter((place) => place <= most && other.has(place)));
  return { a: one.get(at) ?? 0, b: other.get(at) ?? 0 };
}

/** @param {Scored} scored @returns {number} bytes that it adds to the text */
function size({ token }) {
  return token.special ? 0 : token.bytes.length;
}

/** @param {readonly Scored[]} all @returns {Uint8Array} their text */
function bytesOf(all) {
  return join(all.filter(({ token }) => !token.special).map(({ token }) => token.bytes));
}

/** @param {readonly Scored[]} all @returns {number} log-probability of all in turn */
export function sum(all) {
  return all.reduce((total, { logprob }) => total + Number(logprob), 0);
}

/** @param {number} a @param {number} b in nats @returns {number} in bits; 0 if impossible for both */
function difference(a, b) {
  return a === b ? 0 : (b - a) / Math.LN2;
}
