/**
 * Asks for the tree of a prompt's likeliest continuations, as it grows.
 *
 * @typedef {import("../core/slices_later.js").GrownNode} GrownNode
 * @typedef {NonNullable<import("../core/slices_later.js").Growth["mass"]>} Mass
 *
 * @typedef {object} Part  what came since the part before
 * @property {GrownNode[]} nodes
 * @property {Mass} mass
 */
import { stream } from "./events.js";
import { BadAnswer, number, object, probability, readToken } from "./wire.js";

/**
 * @param {{model: string, tokenIds: readonly number[], depth: number, most: number}} question @param {AbortSignal} signal
 * @returns {AsyncGenerator<Part>} @throws {import("./api.js").CallFailed}
 */
export async function* grow({ model, tokenIds, depth, most }, signal) {
  /** @type {GrownNode[]} */
  let nodes = [];
  for await (const { name, data } of stream("api/grow", { model, token_ids: tokenIds, depth, max_nodes: most }, signal)) {
    if (name === "node") nodes.push(readNode(data, nodes.at(-1)?.id));
    if (name === "mass" || name === "finish") {
      yield { nodes, mass: readMass(name === "finish" ? data.mass : data) };
      nodes = [];
    }
  }
}

/** @param {any} json @param {number} [before] the id of the node before it @returns {GrownNode} @throws {BadAnswer} */
export function readNode(json, before) {
  const token = object(json?.token, "token");
  const id = number(json.id, "id", 1);
  const parent = number(json.parent, "parent", 0);
  if (parent >= id || (before !== undefined && id !== before + 1)) throw new BadAnswer(`node ${id} after ${before ?? "none"}, below ${parent}`);
  return {
    id,
    parent,
    token: readToken(token, "token"),
    rank: number(token.rank, "token.rank", 1),
    logprob: Math.min(0, number(token.logprob, "token.logprob")),
    pathLogprob: Math.min(0, number(json.path_logprob, "path_logprob")),
    end: Boolean(json.is_end),
  };
}

/** @param {any} json @returns {Mass} @throws {BadAnswer} */
export function readMass(json) {
  const [covered, open, pruned] = ["covered", "open", "pruned"].map((name) => probability(object(json, "mass")[name], name));
  return { covered, open, pruned };
}
