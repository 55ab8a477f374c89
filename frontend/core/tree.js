/**
 * Every text tried, as a tree of tokens: one root per model, one node per token. Pure: changes return a new tree.
 *
 * @typedef {import("./tokens.js").Token} Token
 *
 * @typedef {object} Node
 * @property {number} id
 * @property {number | null} parent  null for a root
 * @property {string} model  whose vocabulary the token is from
 * @property {Token | null} token  null for a root
 * @property {number | null} probability  at temperature 1; null if not requested
 * @property {number | null} rank
 * @property {Score | null} score  at temperature 1; null if not requested
 * @property {string | null} typed  the whole text as typed, if it was typed and ended here
 * @property {string | null} added  text as typed after other tokens, if it ended here
 * @property {number} written  how many tokens come from the same typed text, up to this one; 0 if it was picked
 * @property {number | null} latest  the child visited last
 * @property {string | null} name  the user's name for its branch
 * @property {boolean} folded  its subbranches are hidden
 * @property {readonly number[]} children
 *
 * @typedef {object} Score  all null for a first token without BOS
 * @property {number | null} logprob  in nats; -Infinity if impossible
 * @property {number | null} rank
 * @property {number | null} entropy  of the distribution at its position, in bits
 *
 * @typedef {object} Run  tokens that come from one typed text: the path's, from `start` to `end` as `slice` takes them
 * @property {string | null} text  as typed; null if only a part of it is left
 * @property {number} start
 * @property {number | undefined} end
 *
 * @typedef {object} Stretch
 * @property {Node[]} nodes
 * @property {string | null} text  as typed; null if their bytes are their text
 * @property {boolean} typed
 *
 * @typedef {object} Tree
 * @property {ReadonlyMap<number, Node>} nodes
 * @property {number} nextId
 */
import { textOf } from "./tokens.js";

export const LONGEST_NAME = 60; // of a branch
/** Of a token that was picked. */
export const PICKED = { typed: null, added: null, written: 0 };
/** @type {Tree} */
export const EMPTY = { nodes: new Map(), nextId: 1 };

/** @param {Tree} tree @param {number} id @returns {Node} */
export function node(tree, id) {
  const found = tree.nodes.get(id);
  if (!found) throw new RangeError(`no node ${id}`);
  return found;
}

/** @param {Tree} tree @param {string} model @returns {[Tree, number]} the model's root, created if needed */
export function rootFor(tree, model) {
  for (const each of tree.nodes.values()) if (each.parent === null && each.model === model) return [tree, each.id];
  const root = blank({ id: tree.nextId, parent: null, model, token: null });
  return [{ nodes: new Map(tree.nodes).set(root.id, root), nextId: root.id + 1 }, root.id];
}

/**
 * The child of `parent` with that token, created if needed.
 * @param {Tree} tree @param {number} parent @param {Token} token
 * @param {{probability: number | null, rank: number | null, score?: Score | null}} known
 * @returns {[Tree, number]}
 */
export function extend(tree, parent, token, known) {
  const [grown, id] = extendAll(tree, parent, [token]);
  return [change(grown, id, known), id];
}

/** @param {Tree} tree @param {number} parent @param {readonly Token[]} tokens @returns {[Tree, number]} */
export function extendAll(tree, parent, tokens) {
  const nodes = new Map(tree.nodes);
  let { nextId } = tree;
  let above = node(tree, parent);
  for (const token of tokens) {
    const children = above.children.map((child) => /** @type {Node} */ (nodes.get(child)));
    const same = children.find((child) => child.token?.id === token.id);
    const next = same ?? blank({ id: nextId++, parent: above.id, model: above.model, token });
    if (!same) {
      nodes.set(above.id, { ...above, children: [...above.children, next.id] });
      nodes.set(next.id, next);
    }
    above = next;
  }
  return [{ nodes, nextId }, above.id];
}

/** @param {Node} node @returns {number | null} its log-probability, even if the probability underflows; null if it was not picked */
export function logprobOf({ probability, score }) {
  return probability === null ? null : (score?.logprob ?? Math.log(probability));
}

/** @param {Tree} tree @param {number} id @param {Partial<Node>} changes @returns {Tree} */
export function change(tree, id, changes) {
  return { ...tree, nodes: new Map(tree.nodes).set(id, { ...node(tree, id), ...changes }) };
}

/** @param {Tree} tree @param {number} id @returns {Node[]} from the first token to `id`, without the root */
export function path(tree, id) {
  /** @type {Node[]} */
  const nodes = [];
  for (let at = node(tree, id); at.parent !== null; at = node(tree, at.parent)) nodes.push(at);
  return nodes.reverse();
}

/** @param {Tree} tree @param {number} id @returns {number[]} */
export function tokenIds(tree, id) {
  return tokens(path(tree, id)).map((token) => token.id);
}

/** @param {readonly Node[]} nodes @returns {Token[]} */
export function tokens(nodes) {
  return nodes.map((each) => /** @type {Token} */ (each.token));
}

/** @param {Tree} tree @param {number} id @returns {string} the text as typed, and that of the tokens picked */
export function text(tree, id) {
  return runs(tree, id).map((each) => each.text ?? textOf(tokens(each.nodes))).join("");
}

/** @param {Tree} tree @param {number} id @returns {Stretch[]} what its text consists of, in order: typed texts and picked tokens */
export function runs(tree, id) {
  const nodes = path(tree, id);
  /** @type {Stretch[]} */
  const found = [];
  for (let end = nodes.length; end > 0; ) {
    const { typed, added, written } = nodes[end - 1];
    let start = typed !== null ? 0 : Math.max(0, end - written);
    if (start === end) while (start > 0 && nodes[start - 1].typed === null && !nodes[start - 1].written) start--;
    found.push({ nodes: nodes.slice(start, end), text: typed ?? added, typed: typed !== null || written > 0 });
    end = start;
  }
  return found.reverse();
}

/** @param {Tree} tree @param {number} id @param {readonly Run[]} typed @returns {Tree} with these runs of the path to `id` marked as typed */
export function mark(tree, id, typed) {
  const nodes = new Map(tree.nodes);
  for (const { text, start, end } of typed) {
    path(tree, id).slice(start, end).forEach((each, at, run) => {
      const last = at === run.length - 1;
      const whole = last && start === 0 && text !== null;
      nodes.set(each.id, { ...each, written: at + 1, added: last && !whole ? text : null, ...(whole && { typed: text }) });
    });
  }
  return { ...tree, nodes };
}

/** @param {Tree} tree @param {number} id @returns {boolean} a special token at the beginning, added by the tokenizer */
export function isFirstMark(tree, id) {
  const { parent, token } = node(tree, id);
  return parent !== null && token?.special === true && node(tree, parent).parent === null;
}

/** @param {Tree} tree @param {number} id @param {number} end @returns {boolean} `id` is an ancestor of `end`, or `end` itself */
export function leadsTo(tree, id, end) {
  /** @type {number | null} */
  let at = end;
  while (at !== null && at !== id) at = node(tree, at).parent;
  return at === id;
}

/** @param {Tree} tree @param {number} id @param {number} [most] @returns {Node[]} the continuation visited last */
export function onward(tree, id, most = 200) {
  /** @type {Node[]} */
  const nodes = [];
  for (let next = node(tree, id).latest; next !== null && nodes.length < most; next = node(tree, next).latest) {
    nodes.push(node(tree, next));
  }
  return nodes;
}

/** @param {Tree} tree @param {number} id @returns {Tree} with the path to `id` as the one visited last */
export function goneTo(tree, id) {
  const nodes = new Map(tree.nodes);
  for (let at = node(tree, id); at.parent !== null; at = node(tree, at.parent)) {
    const above = /** @type {Node} */ (nodes.get(at.parent));
    if (above.latest !== at.id) nodes.set(above.id, { ...above, latest: at.id });
  }
  return { ...tree, nodes };
}

/**
 * @param {Tree} tree @param {number} id @param {ReadonlySet<number>} kept
 * @param {boolean} chosen  keep picked and named nodes too
 * @returns {Tree} without the nodes that only lead to `id`
 */
export function prune(tree, id, kept, chosen = false) {
  const nodes = new Map(tree.nodes);
  /** @type {number | null} */
  let at = id;
  while (at !== null) {
    const gone = /** @type {Node} */ (nodes.get(at));
    if (gone.parent === null || gone.children.length || kept.has(gone.id) || (chosen && (gone.rank !== null || gone.name))) break;
    const above = /** @type {Node} */ (nodes.get(gone.parent));
    nodes.delete(gone.id);
    nodes.set(above.id, {
      ...above,
      children: above.children.filter((child) => child !== gone.id),
      latest: above.latest === gone.id ? null : above.latest,
    });
    at = gone.parent;
  }
  return { ...tree, nodes };
}

/** @param {Pick<Node, "id" | "parent" | "model" | "token">} fields @returns {Node} */
function blank(fields) {
  return { ...fields, probability: null, rank: null, score: null, ...PICKED, latest: null, name: null, folded: false, children: [] };
}
