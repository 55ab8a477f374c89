/**
 * Saves the state in browser storage, in a versioned format; other versions are ignored.
 *
 * @typedef {import("../../core/slices.js").Saved} Saved
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tree.js").Node} Node
 */
import { freezeToken, thawToken } from "../../core/base64.js";
import { readChain } from "../../core/chain.js";
import { freezeChat, readChat } from "../../core/chat.js";
import { readDisplay } from "../../core/display.js";
import { readFrame } from "../../core/frame.js";
import { MOST_TYPED, SETTINGS, fitDice, fits } from "../../core/settings.js";
import { ending, initial, textHere } from "../../core/state.js";
import * as tree from "../../core/tree.js";
import { NAMES } from "../pins/model.js";
import { SHADES } from "../scores/model.js";

const KEY = "next-token-visualizer";
const VERSION = 1;
const MOST_CHARACTERS = 2_000_000;

/** @param {Pick<Storage, "setItem">} storage @param {State} state @returns {Saved} how much was saved */
export function save(storage, state) {
  for (const [saved, packed] of packs(state)) {
    try {
      storage.setItem(KEY, packed);
      return saved;
    } catch {
      // Full storage may fit less; blocked storage only means that a reload loses the state.
    }
  }
  return "nothing";
}

/** @param {Pick<Storage, "getItem">} storage @returns {State} the saved state, or the initial one */
export function load(storage) {
  try {
    const saved = storage.getItem(KEY);
    return saved === null ? initial() : unpack(saved);
  } catch {
    return initial();
  }
}

/** @param {State} state @returns {string} packed */
export function pack(state) {
  const [first] = packs(state);
  return first[1];
}

/** @param {State} state @returns {Generator<[Saved, string], void>} all branches; the current text with its tokens; the text alone */
function* packs(state) {
  const whole = JSON.stringify(record(state, [...state.tree.nodes.values()]));
  if (whole.length <= MOST_CHARACTERS) yield ["all", whole];
  const alone = { ...state, past: [], future: [], removed: [] };
  const way = JSON.stringify(record(alone, wayTo(state)));
  if (way.length <= MOST_CHARACTERS) yield ["way", way];
  const text = JSON.stringify(record({ ...alone, current: null, end: null, draft: state.draft ?? textHere(state) }, []));
  yield ["text", text];
}

/** @param {string} packed @returns {State} @throws if it is not in this format */
export function unpack(packed) {
  const saved = JSON.parse(packed);
  if (saved.version !== VERSION) throw new RangeError(`version ${saved.version}`);
  const nodes = new Map(saved.nodes.map((/** @type {any} */ each) => [each.id, thawed(each)]));
  for (const each of nodes.values()) {
    if (each.parent !== null) nodes.get(each.parent).children.push(each.id);
    if (!nodes.has(each.latest)) each.latest = null;
  }
  const state = initial();
  const known = (/** @type {any} */ place) => (typeof place?.text === "string" && (place.at === null || nodes.has(place.at))) || nodes.has(place);
  const settings = { ...state.settings };
  for (const name of SETTINGS) if (fits(name, saved.settings?.[name])) settings[name] = saved.settings[name];
  const chain = readChain(saved.settings?.chain);
  if (chain) settings.chain = chain;
  const pins = thawedPins(saved.pins);
  const removed = Array.isArray(saved.removed) ? saved.removed.map(readRemoved) : [];
  const current = nodes.has(saved.current) ? saved.current : null;
  return {
    ...state,
    tree: { nodes, nextId: 1 + Math.max(0, ...nodes.keys(), ...removed.flatMap((each) => each.nodes.map((node) => node.id))) },
    removed,
    current,
    draft: typeof saved.draft === "string" ? saved.draft : current === null ? state.draft : null,
    literal: saved.literal === true,
    base: typeof saved.draft === "string" && nodes.has(saved.base) ? saved.base : null,
    session: typeof saved.draft === "string" && current !== null ? "typing" : null,
    past: saved.past.filter(known),
    future: saved.future.filter(known),
    settings,
    dice: saved.dice && fitDice(saved.dice) ? { ...state.dice, ...saved.dice } : state.dice,
    display: readDisplay(saved.display),
    pins,
    versus: pins.find((pin) => pin.name === saved.versus)?.name ?? pins.at(-1)?.name ?? null,
    likely: typeof saved.likely === "string" ? saved.likely.slice(0, MOST_TYPED) : "",
    shading: { ...state.shading, by: SHADES.find((each) => each === saved.shade) ?? state.shading.by },
    chat: readChat(saved.chat, nodes),
    comparison: { ...state.comparison, ...readComparison(saved.comparison, nodes) },
    frame: readFrame(saved.frame ?? (saved.open?.paths && { inspector: true, tab: "paths" })),
    room: { ...state.room, ...roomOf(saved.room) },
    wish: typeof saved.wish === "string" ? saved.wish : null,
    model: typeof saved.model === "string" ? saved.model : null,
  };
}

/** @param {any} saved @param {ReadonlyMap<any, Node>} nodes @returns {Partial<State["comparison"]>} what B asked, as far as it is valid */
function readComparison(saved, nodes) {
  const { model, temperature, prompt } = saved ?? {};
  return {
    model: typeof model === "string" ? model : null,
    temperature: fits("temperature", temperature) ? temperature : null,
    prompt: typeof prompt?.text === "string" ? { text: prompt.text, at: nodes.has(prompt.at) ? prompt.at : null, read: null } : null,
  };
}

/** @param {State} state @param {readonly Node[]} nodes */
function record(state, nodes) {
  const { draft, literal, base, past, future, settings, dice, display, versus, likely, frame, wish, model } = state;
  const kept = { view: frame.view, surface: frame.surface, inspector: frame.inspector, tab: frame.tab };
  const { guessing, seen, keys, tour } = state.room;
  const removed = state.removed.map((each) => ({ ...each, nodes: each.nodes.map(frozen) }));
  const room = { guessing, seen, keys, offered: tour.offered };
  const pins = state.pins.map((pin) => ({ ...pin, cells: pin.cells.map(({ token, share }) => ({ ...freezeToken(token), share })) }));
  const chat = freezeChat(state, nodes);
  const { model: otherModel, temperature, prompt } = state.comparison;
  const comparison = { model: otherModel, temperature, prompt: prompt && { text: prompt.text, at: prompt.at } };
  const rest = { chat, comparison, current: ending(state), draft, ...(literal && { literal }), base: draft === null ? null : base, past, future, settings, dice, display, pins, versus, likely, frame: kept, wish, model, room, removed, shade: state.shading.by };
  return { version: VERSION, nodes: nodes.map(frozen), ...rest };
}

/** @param {State} state @returns {Node[]} the nodes from the root to the current one */
function wayTo(state) {
  const end = ending(state);
  if (end === null) return [];
  const way = tree.path(state.tree, end);
  const root = tree.node(state.tree, way[0]?.parent ?? end);
  return [root, ...way];
}

/** @param {Node} node */
function frozen({ children: _, token, name, folded, added, written, ...rest }) {
  return { ...rest, ...(added !== null && { added }), ...(written && { written }), ...(name && { name }), ...(folded && { folded }), token: token && freezeToken(token) };
}

/** @param {any} saved @returns {any} */
function thawed(saved) {
  const { id, parent, model, token, probability, rank, score, typed, latest } = saved;
  const read = token && thawToken(token);
  const added = typeof saved.added === "string" ? saved.added : null;
  const written = Number.isInteger(saved.written) ? Math.max(0, saved.written) : 0;
  return { id, parent, model, token: read, probability, rank, score: readScore(score), typed, added, written, latest, name: readName(saved.name), folded: saved.folded === true, children: [] };
}

/** @param {any} saved @returns {import("../../core/slices.js").Pin[]} the valid ones, each name once */
function thawedPins(saved) {
  /** @type {import("../../core/slices.js").Pin[]} */
  const pins = [];
  for (const pin of Array.isArray(saved) ? saved : []) {
    const { name, key, text, model, settings, whole, entropyBits, cells } = pin ?? {};
    const words = [key, text, model].every((each) => typeof each === "string") && NAMES.includes(name) && Array.isArray(cells);
    const good = words && Number.isFinite(entropyBits) && SETTINGS.every((each) => fits(each, settings?.[each])) && (settings.chain === undefined || readChain(settings.chain));
    if (!good || pins.some((each) => each.name === name) || !cells.every(({ share }) => share >= 0 && share <= 1)) continue;
    const read = cells.map((/** @type {any} */ cell) => ({ token: thawToken(cell), share: cell.share }));
    const prompt = typeof pin.prompt === "string" ? pin.prompt : text;
    pins.push({ name, key, text, prompt, trouble: null, model, settings, whole: whole === true, entropyBits, cells: read });
  }
  return pins;
}

/** @param {any} saved @returns {Partial<State["room"]>} presenting and the tour end on reload */
function roomOf(saved) {
  return {
    guessing: saved?.guessing === true,
    seen: typeof saved?.seen === "number" ? saved.seen : null,
    keys: saved?.keys !== false,
    tour: { at: null, offered: saved?.offered !== false, mark: null, own: null },
  };
}

/** @param {any} saved @returns {import("../../core/slices.js").Removed} @throws if invalid */
function readRemoved({ nodes, current, words }) {
  return { nodes: nodes.map(thawed), current: typeof current === "number" ? current : null, words: String(words) };
}

/** @param {any} saved @returns {string | null} */
function readName(saved) {
  return typeof saved === "string" && saved ? saved.slice(0, tree.LONGEST_NAME) : null;
}

/** @param {any} saved @returns {tree.Score | null} */
function readScore(saved) {
  if (typeof saved?.rank !== "number" || typeof saved.entropy !== "number") return null;
  // JSON has no infinity.
  return { rank: saved.rank, entropy: saved.entropy, logprob: typeof saved.logprob === "number" ? saved.logprob : -Infinity };
}
