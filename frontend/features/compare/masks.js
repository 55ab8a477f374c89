/**
 * Where a mask begins in the second column. Pure.
 *
 * @typedef {import("../../core/slices_later.js").Chain} Chain
 */
import { COMPARE } from "../../core/words_later.js";

/** @param {Chain} chain of A @param {readonly number[]} ids of A @param {readonly number[] | null} others of B @returns {Chain} B’s mask begins where the same masked tokens do; at the end of its text if that has others */
export function otherChain(chain, ids, others) {
  return chain.map((step) => {
    if (typeof step.from !== "number") return step;
    const from = (others?.length ?? 0) - (ids.length - step.from);
    return { ...step, from: from >= 0 && String(others?.slice(from)) === String(ids.slice(step.from)) ? from : null };
  });
}

/** @param {{a: {chain?: Chain}, b: {chain?: Chain}} | null} asked @returns {string} that B’s mask begins anew, or empty */
export function maskWords(asked) {
  const begins = (/** @type {Chain | undefined} */ chain) => chain?.find(({ name, on, wire }) => name === "mask" && on && wire)?.from ?? null;
  return asked && begins(asked.a.chain) !== null && begins(asked.b.chain) === null ? COMPARE.mask : "";
}
