/**
 * How far two methods agree. Pure.
 *
 * @typedef {import("../../core/slices_later.js").Unit} Unit
 */

/** @param {ReadonlyMap<number, number>} one @param {ReadonlyMap<number, number>} other changes @param {readonly Unit[]} units @returns {number | null} Spearman's rank correlation of their sizes, without the first token; null for fewer than three */
export function agreement(one, other, units) {
  const both = units.flatMap((unit, index) => {
    const [a, b] = [one.get(index), other.get(index)];
    return unit.first || a === undefined || b === undefined || Number.isNaN(a) || Number.isNaN(b) ? [] : [[Math.abs(a), Math.abs(b)]];
  });
  if (both.length < 3) return null;
  const [left, right] = [0, 1].map((side) => ranks(both.map((pair) => pair[side])));
  const mean = (both.length + 1) / 2;
  const product = (/** @type {number[]} */ a, /** @type {number[]} */ b) => a.reduce((sum, value, at) => sum + (value - mean) * (b[at] - mean), 0);
  const spread = Math.sqrt(product(left, left) * product(right, right));
  return spread > 0 ? product(left, right) / spread : null;
}

/** @param {number[]} values @returns {number[]} from 1; equal values share the mean of theirs */
function ranks(values) {
  return values.map((value) => 1 + values.filter((each) => each < value).length + (values.filter((each) => each === value).length - 1) / 2);
}
