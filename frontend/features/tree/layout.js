/**
 * Where every branch lies: left to right, one row per end, thickness by probability. Pure.
 *
 * The first continuation goes straight on, so that the likeliest text reads as a line; the others lie below it.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Growth} Growth
 * @typedef {import("../../core/slices_later.js").GrownNode} GrownNode
 * @typedef {import("../../core/tokens.js").Token} Token
 * @typedef {import("../../core/tree.js").Node} Node
 *
 * @typedef {object} Place  a run of tokens without a fork
 * @property {number} index
 * @property {number | null} parent  index of the run before it
 * @property {readonly number[]} children
 * @property {number | null} own  the last node of a run that was tried
 * @property {{root: number, id: number} | null} grown  the last node of a run that was grown
 * @property {string} words  shortened
 * @property {number | null} probability  of the run after the one before it; null for typed text
 * @property {number} flow  of all runs up to it, unknown ones counted as 1
 * @property {boolean} way  leads to the end of the text
 * @property {boolean} here  the text ends with it
 * @property {boolean} end  it ends with an end-of-text token
 * @property {number} depth
 * @property {number} x
 * @property {number} y
 * @property {number} width
 *
 * @typedef {{own: Node | null, grown: {growth: Growth, root: number, node: GrownNode | null, below: ReadonlyMap<number, GrownNode[]>} | null}} Spot
 */
import { ending } from "../../core/state.js";
import { groups } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";

export const ROW = 26;
export const HEIGHT = 20;
export const GAP = 40;
const CHARACTER = 7.4;
const PADDING = 14;
const LONGEST = 30; // characters of a run

/** @param {State} state @returns {Place[]} parents before their children */
export function places(state) {
  const end = ending(state);
  const root = [...state.tree.nodes.values()].find((node) => node.parent === null && node.model === state.model);
  if (!root) return [];
  const way = new Set(end === null ? [] : tree.path(state.tree, end).map((node) => node.id));
  const below = new Map([...state.grown.growths].map(([at, growth]) => [at, byParent(growth)]));
  /** @type {(Place & {children: number[]})[]} */
  const found = [];
  /** @type {{spot: Spot, parent: number | null}[]} */
  const open = onward(state, { own: root, grown: null }, below).map((spot) => ({ spot, parent: null })).reverse();
  for (let next = open.pop(); next; next = open.pop()) {
    const { parent } = next;
    let { spot } = next;
    const run = [spot];
    let after = onward(state, spot, below);
    while (after.length === 1 && isOwn(after[0]) === isOwn(spot) && spot.own?.id !== end && !spot.grown?.node?.end) {
      spot = after[0];
      run.push(spot);
      after = onward(state, spot, below);
    }
    const before = parent === null ? null : found[parent];
    const probability = product(run);
    const words = wordsOf(run);
    const index = found.length;
    found.push({
      index,
      parent,
      children: [],
      own: spot.own?.id ?? null,
      grown: spot.own === null && spot.grown?.node ? { root: spot.grown.root, id: spot.grown.node.id } : null,
      words,
      probability,
      flow: (before?.flow ?? 1) * (probability ?? 1),
      way: spot.own !== null && run.some((each) => each.own !== null && way.has(each.own.id)),
      here: spot.own !== null && spot.own.id === end,
      end: spot.grown?.node?.end ?? false,
      depth: (before?.depth ?? 0) + 1,
      x: before ? before.x + before.width + GAP : 0,
      y: 0,
      width: words.length * CHARACTER + PADDING,
    });
    before?.children.push(index);
    open.push(...after.map((each) => ({ spot: each, parent: index })).reverse());
  }
  let row = 0;
  for (const place of found) if (!place.children.length) place.y = ROW * row++;
  for (const place of [...found].reverse()) if (place.children.length) place.y = found[place.children[0]].y;
  return found;
}

/** @param {readonly Place[]} all @returns {{width: number, height: number}} */
export function extent(all) {
  return all.reduce((most, { x, y, width }) => ({ width: Math.max(most.width, x + width), height: Math.max(most.height, y + HEIGHT) }), { width: 0, height: 0 });
}

/** @param {readonly Place[]} all @param {number} x @param {number} y @returns {Place | undefined} */
export function placeAt(all, x, y) {
  return all.find((place) => x >= place.x && x <= place.x + place.width && y >= place.y && y <= place.y + HEIGHT);
}

/** @param {readonly Place[]} all @param {number} at @param {string} key an arrow key @returns {number} the place that it leads to */
export function neighbour(all, at, key) {
  const place = all[at];
  if (!place) return Math.max(0, all.findIndex(({ here }) => here));
  if (key === "ArrowLeft") return place.parent ?? at;
  if (key === "ArrowRight") return place.children.find((child) => all[child].way) ?? place.children[0] ?? at;
  const down = key === "ArrowDown";
  let best = at;
  for (const other of all) {
    const ahead = down ? other.y > place.y : other.y < place.y;
    if (!ahead || other.depth !== place.depth) continue;
    if (best === at || Math.abs(other.y - place.y) < Math.abs(all[best].y - place.y)) best = other.index;
  }
  return best;
}

/** @param {Spot} spot @returns {boolean} it was tried */
function isOwn({ own }) {
  return own !== null;
}

/** @param {Growth} growth @returns {ReadonlyMap<number, GrownNode[]>} */
function byParent({ nodes }) {
  /** @type {Map<number, GrownNode[]>} */
  const below = new Map();
  for (const node of nodes) {
    const siblings = below.get(node.parent);
    if (siblings) siblings.push(node);
    else below.set(node.parent, [node]);
  }
  return below;
}

/**
 * @param {State} state @param {Spot} spot @param {ReadonlyMap<number, ReadonlyMap<number, GrownNode[]>>} grown by the node they began at
 * @returns {Spot[]} what follows: what was tried, then what was only grown; a growth that begins here hides one from before
 */
function onward(state, { own, grown: from }, grown) {
  const begun = own === null ? undefined : grown.get(own.id);
  const growth = begun && own ? state.grown.growths.get(own.id) : undefined;
  const here = begun && growth && own ? { growth, root: own.id, node: null, below: begun } : from;
  const nodes = here === null ? [] : (here.below.get(here.node?.id ?? 0) ?? []);
  /** @type {Spot[]} */
  const found = (own?.children ?? []).map((id) => {
    const child = tree.node(state.tree, id);
    const same = nodes.find((node) => node.token.id === child.token?.id);
    return { own: child, grown: same && here ? { ...here, node: same } : null };
  });
  const tried = new Set(found.map((spot) => spot.own?.token?.id));
  for (const node of nodes) if (here && !tried.has(node.token.id)) found.push({ own: null, grown: { ...here, node } });
  return found;
}

/** @param {readonly Spot[]} run @returns {number | null} */
function product(run) {
  let logprob = 0;
  let known = false;
  for (const { own, grown } of run) {
    const one = grown?.node ? grown.node.logprob : own && tree.logprobOf(own);
    known ||= one !== null;
    logprob += one ?? 0;
  }
  return known ? Math.exp(logprob) : null;
}

/** @param {readonly Spot[]} run @returns {string} */
function wordsOf(run) {
  const tokens = run.map(({ own, grown }) => /** @type {Token} */ (own?.token ?? grown?.node?.token));
  const words = groups(tokens).flatMap((group) => group.pieces).map((piece) => piece.glyph || piece.text).join("") || "∅";
  return words.length <= LONGEST ? words : `${words.slice(0, 10).toWellFormed()}…${words.slice(-(LONGEST - 11)).toWellFormed()}`;
}
